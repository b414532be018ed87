"""Approvals: people's signed answers, each bound to the digest of exactly the action that will run."""
