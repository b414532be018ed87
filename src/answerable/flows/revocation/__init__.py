"""Ending mandates, instances, leases and authority; placing holds and cutting calls."""
