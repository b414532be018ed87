"""Write the ledger entries of an action: cited statements, outcomes, refusals."""
