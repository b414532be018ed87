"""Policy decisions: allow, deny or defer, always with reasons."""
