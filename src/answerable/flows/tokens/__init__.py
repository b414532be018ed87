"""Verify callers' proofs; issue, exchange, introspect and revoke mandate tokens."""
