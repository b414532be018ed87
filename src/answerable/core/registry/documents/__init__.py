"""The nouns that are registered, one kind a module."""
