"""Gather and give witness cosignatures, publish checkpoints and the log of logs, and assemble evidence bundles."""
