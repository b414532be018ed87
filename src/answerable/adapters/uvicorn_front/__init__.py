"""Run the HTTP server (uvicorn) for all listeners, extended to report the peer of each connection."""

from __future__ import annotations

from answerable.adapters.uvicorn_front.descriptors import KEPT, raise_limit
from answerable.adapters.uvicorn_front.listeners import (
    Listeners,
    group_let_in,
    listen,
    require_folder,
    require_host,
)
from answerable.adapters.uvicorn_front.loop import run, set_collector_apart
from answerable.adapters.uvicorn_front.server import FrontLimits, serve
from answerable.adapters.uvicorn_front.tls import TLSMaterial, add_client_authorities, tls_context

__all__ = [
    "KEPT",
    "FrontLimits",
    "Listeners",
    "TLSMaterial",
    "add_client_authorities",
    "group_let_in",
    "listen",
    "raise_limit",
    "require_folder",
    "require_host",
    "run",
    "serve",
    "set_collector_apart",
    "tls_context",
]
