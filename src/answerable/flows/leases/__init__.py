"""Lease credentials through the broker, and manage its accounts and secrets."""
