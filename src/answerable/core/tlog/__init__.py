"""Transparency log formats and proofs: RFC 6962 trees, C2SP notes, checkpoints and proof files.

Liftable as a library: nothing here knows what a leaf means, holds a key, or reads a file.
"""
