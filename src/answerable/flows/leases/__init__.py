"""Credential leases: the broker, its accounts and its secrets."""
