"""Ledger entries of the walk: cited statements, outcomes and refusals."""
