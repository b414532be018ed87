"""What is read back from the ledger at start; settling."""
