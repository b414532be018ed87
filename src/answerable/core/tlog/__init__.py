"""Transparency log formats and proofs: RFC 6962 trees, C2SP notes, checkpoints and proof files.

Usable as a separate library: no module knows the meaning of a leaf, holds a private key, or reads a file.
"""
