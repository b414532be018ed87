"""Deliver event streams to callers and subscribers (Shared Signals)."""
