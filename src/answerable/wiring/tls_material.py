"""Build from settings the TLS of the listeners that have one: the gateway's and the console's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from answerable.adapters.uvicorn_front import TLSMaterial, tls_context
from answerable.errors import Unavailable
from answerable.errors.codes.leases import SECRET_UNREADABLE
from answerable.wiring.settings import secret

if TYPE_CHECKING:
    import ssl

    from answerable.wiring.setting_tree import Settings


def gateway_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the gateway's TLS; None if it has none. Raises Unavailable (`front.tls`), and as `secret`."""
    return _tls(settings, "gateway", settings.gateway.tls_client_ca)


def console_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the console's TLS; None if it has none. Raises as `gateway_tls`."""
    return _tls(settings, "console")


def _tls(
    settings: Settings, section: Literal["gateway", "console"], client_ca: str = ""
) -> ssl.SSLContext | None:
    wanted = settings.gateway if section == "gateway" else settings.console
    if not wanted.tls_certificate:
        return None

    def read(name: str, reference: str) -> bytes:
        try:
            return secret(reference, data=settings.data)
        except Unavailable as fault:
            raise SECRET_UNREADABLE(f"`{section}.{name}`: {fault.message}") from None

    return tls_context(
        TLSMaterial(
            certificate=read("tls_certificate", wanted.tls_certificate),
            key=read("tls_key", wanted.tls_key),
            client_ca=read("tls_client_ca", client_ca) if client_ca else b"",
        )
    )
