"""Call witnesses over HTTP."""

from __future__ import annotations

from answerable.adapters.witness_http.client import HttpWitness

__all__ = ["HttpWitness"]
