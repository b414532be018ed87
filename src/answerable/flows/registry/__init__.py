"""Applying documents and following what other processes apply."""
