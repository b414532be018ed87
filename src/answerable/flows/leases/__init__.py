"""Lease short-lived credentials through the broker; manage its accounts and secrets."""
