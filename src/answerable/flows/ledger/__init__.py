"""Publish checkpoints, gather and give witness cosignatures, and assemble evidence bundles."""
