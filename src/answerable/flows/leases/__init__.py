"""Leasing credentials: the broker, its accounts and secrets."""
