"""Putting entries on disk, keys and pseudonyms for them, and reading them back in turns."""
