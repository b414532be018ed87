"""Proofs that a caller possesses a key or uses a channel."""
