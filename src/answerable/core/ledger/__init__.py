"""The entries of the tamper-evident ledger: their form, their contents, and what can be computed from them."""
