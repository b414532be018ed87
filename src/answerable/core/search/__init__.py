"""Search the ledger: the query language, and what each entry can be found by."""
