"""Reconstruct incidents from the ledger: timelines, and the person behind an action."""
