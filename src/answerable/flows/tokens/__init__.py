"""Proofs of callers, mandates, tokens and their exchange."""
