"""Answerable: what was the machine allowed to do, at that moment, and who answers for it."""

__version__ = "0.1.0"

__all__ = ["__version__"]
