"""Manifests: what an agent is made of, signed by its owner."""
