"""Post event messages to receivers over HTTP."""

from __future__ import annotations

from answerable.adapters.event_http.client import HttpEventPost

__all__ = ["HttpEventPost"]
