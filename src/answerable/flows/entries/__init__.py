"""Write the ledger entries of the walk: cited statements, outcomes, refusals."""
