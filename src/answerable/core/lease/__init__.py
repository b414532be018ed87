"""Leases: short-lived credentials for one action or for one window of a task, with their terms, states and end."""
