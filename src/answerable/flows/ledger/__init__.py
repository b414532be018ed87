"""Witness cosignatures, the log of logs, announcements and evidence bundles of the ledger."""
