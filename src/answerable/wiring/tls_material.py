"""Build from settings the TLS of the listeners that have one: the gateway's and the console's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.uvicorn_front import TLSMaterial, tls_context
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    import ssl

    from answerable.wiring.setting_tree import Settings


def gateway_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the gateway's TLS; None if it has none. Raises Unavailable (`front.tls`), and as `secret`."""
    wanted = settings.gateway
    return _tls(settings, wanted.tls_certificate, wanted.tls_key, wanted.tls_client_ca)


def console_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the console's TLS; None if it has none. Raises as `gateway_tls`."""
    return _tls(settings, settings.console.tls_certificate, settings.console.tls_key)


def _tls(settings: Settings, certificate: str, key: str, client_ca: str = "") -> ssl.SSLContext | None:
    if not certificate:
        return None
    data = settings.data
    return tls_context(
        TLSMaterial(
            certificate=secret(certificate, data=data),
            key=secret(key, data=data),
            client_ca=secret(client_ca, data=data) if client_ca else b"",
        )
    )
