"""Deliver event streams to receivers and webhooks (OpenID Shared Signals Framework)."""
