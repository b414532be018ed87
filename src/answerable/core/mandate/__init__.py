"""Mandates and delegation: the signed task an agent acts under, for whom, and how far it goes."""
