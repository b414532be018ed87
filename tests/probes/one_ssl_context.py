"""HTTP clients of one process share what they read of the system's authorities: each read all of them anew, which took
longer than what most of them were made for, and no test talks to a server that any of these vouches for."""

from __future__ import annotations

import os
import ssl
from functools import cache

import httpcore2

_read = httpcore2.default_ssl_context


def install() -> None:
    """From here on, in this process."""
    httpcore2.default_ssl_context = _shared


def _shared(*, _trust_env: bool = True) -> ssl.SSLContext:
    return _once(_trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _once(trust_env: bool, *places: str | None) -> ssl.SSLContext:
    del places
    return _read(_trust_env=trust_env)
