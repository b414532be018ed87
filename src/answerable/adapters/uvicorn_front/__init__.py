"""Run the HTTP server (uvicorn) for all listeners, extended to report the peer of each connection."""

from __future__ import annotations

from answerable.adapters.uvicorn_front.descriptors import KEPT, raise_limit
from answerable.adapters.uvicorn_front.listeners import Listeners, listen
from answerable.adapters.uvicorn_front.loop import run, set_collector_apart
from answerable.adapters.uvicorn_front.server import FrontLimits, serve
from answerable.adapters.uvicorn_front.tls import TLSMaterial, add_client_authorities, tls_context

__all__ = [
    "KEPT",
    "FrontLimits",
    "Listeners",
    "TLSMaterial",
    "add_client_authorities",
    "listen",
    "raise_limit",
    "run",
    "serve",
    "set_collector_apart",
    "tls_context",
]
