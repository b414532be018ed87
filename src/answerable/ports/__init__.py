"""What we ask of the world. One Protocol a file; the docstring is the promise."""
