"""Verify callers' proofs, and issue, exchange, introspect and revoke mandate tokens."""
