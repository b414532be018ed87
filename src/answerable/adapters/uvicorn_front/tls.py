"""Configure the server's TLS from PEM texts, so that a key from an environment variable never touches the disk."""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.errors.codes.services import FRONT_TLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PEM_BYTES_MAX: Final = 60_000
"""What a pipe can hold, with a margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSMaterial:
    """PEM: certificate chain, its private key, and the authorities whose client certificates are required.

    Without `client_ca` no client certificate is requested.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes = b""


def tls_context(material: TLSMaterial) -> ssl.SSLContext:
    """Build a context with TLS 1.3 only; an invalid client certificate ends the handshake.

    Raises Unavailable (`front.tls`) for unusable material, without displaying any of it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    if max(len(material.certificate), len(material.key)) > PEM_BYTES_MAX:
        raise FRONT_TLS(f"the certificate or key has more than {PEM_BYTES_MAX} bytes")
    try:
        with _as_file(material.certificate) as certificate, _as_file(material.key) as key:
            # A password prompt on the terminal would hang the start: an encrypted key is refused instead.
            context.load_cert_chain(certificate, key, password=b"")
    except (OSError, ValueError) as error:
        raise FRONT_TLS(f"the TLS certificate or its key cannot be used: {_why(error)}") from None
    try:
        if material.client_ca:
            context.load_verify_locations(cadata=material.client_ca.decode("ascii"))
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        raise FRONT_TLS(f"the TLS client authorities cannot be used: {_why(error)}") from None
    return context


def _why(error: Exception) -> str:
    """Return why OpenSSL does not take PEM; where it says nothing, there is none of the kind."""
    return str(getattr(error, "reason", None) or "no such PEM in it").replace("_", " ").lower()


def add_client_authorities(context: ssl.SSLContext, authorities: Iterable[bytes]) -> None:
    """Accept client certificates of these authorities (DER) from the next handshake on; none is required.

    Authorities are never removed: the server checks possession only, and whether an authority is trusted is decided for
    every message where the certificates are judged. Raises Unavailable (`front.tls`).
    """
    try:
        if added := b"".join(authorities):
            context.load_verify_locations(cadata=added)
    except (OSError, ValueError) as error:
        raise FRONT_TLS(f"client authorities: {_why(error)}") from None
    if context.verify_mode == ssl.CERT_NONE:
        context.verify_mode = ssl.CERT_OPTIONAL


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Yield a path from which OpenSSL, which accepts only paths, can read the content once: the read end of a pipe."""
    reading, writing = os.pipe()
    try:
        try:
            os.write(writing, content)
        finally:
            os.close(writing)
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
