"""Rebuild in-memory state and registers from the ledger at start, and settle open intents."""
