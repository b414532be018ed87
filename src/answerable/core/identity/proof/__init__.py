"""Proofs that a caller holds a key or channel."""
