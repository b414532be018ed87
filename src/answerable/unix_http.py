"""HTTP over Unix sockets."""

from __future__ import annotations

import ssl
from functools import cache


@cache
def no_tls() -> ssl.SSLContext:
    """What an HTTP client is given that speaks no TLS, so that it does not read every authority of the system, which
    takes longer than most requests. Were it used, no server would be believed. One for all: it takes 4 MB."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
