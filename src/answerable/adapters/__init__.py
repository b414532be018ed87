"""Implement the ports on real technologies, one package per product. Packages never import one another; only wiring and
testing import them."""
