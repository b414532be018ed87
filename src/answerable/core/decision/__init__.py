"""Allow, deny or defer; always with reasons."""
