"""The registered nouns as values, one kind a module."""
