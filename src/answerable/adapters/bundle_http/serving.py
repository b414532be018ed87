"""Provide a server TLS context for bundle endpoints whose certificate and key can be replaced while the server
listens."""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from answerable.errors import Unavailable
from answerable.errors.codes.identity import BUNDLE_TLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PEM_BYTES_MAX: Final = 60_000
"""One pipe's capacity (64 KiB), less a margin."""


class LiveTLS:
    """A server's TLS context with a replaceable certificate. Each handshake presents the newest certificate; open
    connections continue. Before the first `use_*`, every handshake fails. Use only on the event loop's thread."""

    def __init__(self) -> None:
        self._current: ssl.SSLContext | None = None
        self._context = _server_context()
        self._context.sni_callback = self._choose

    @property
    def context(self) -> ssl.SSLContext:
        """The context to open a listener with. It stays the same object when the certificate is replaced."""
        return self._context

    def use_svid(self, chain: Sequence[bytes], key: bytes) -> None:
        """Present this X.509-SVID from now on (https_spiffe). chain: DER certificates, leaf first. key: PKCS #8, DER.

        Raises Unavailable (`bundle.tls`), in which case the previous certificate stays in use.
        """
        try:
            certificates = b"".join(
                x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM) for one in chain
            )
            private = load_der_private_key(key, None)
            secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        except (ValueError, TypeError) as error:
            raise _unusable(error) from None
        self.use_pem(certificates, secret)

    def use_pem(self, certificate: bytes, key: bytes) -> None:
        """Present this PEM chain from now on (https_web). Raises Unavailable (`bundle.tls`), in which case the previous
        certificate stays in use."""
        if max(len(certificate), len(key)) > PEM_BYTES_MAX:
            raise _unusable(ValueError())
        fresh = _server_context()
        try:
            with _as_file(certificate) as chain, _as_file(key) as private:
                # An encrypted key fails at once: OpenSSL would otherwise wait for a passphrase on the terminal.
                fresh.load_cert_chain(chain, private, password=b"")
        except (OSError, ValueError) as error:
            raise _unusable(error) from None
        self._current = fresh

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        """Switch a handshake to the current certificate. OpenSSL calls this once per handshake, with or without a
        server name."""
        if self._current is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None


def _server_context() -> ssl.SSLContext:
    """Build a context for TLS 1.2 and 1.3 (the SPIFFE standard requires Mozilla's intermediate compatibility), without
    client certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["http/1.1"])
    # No session tickets: a resumed session would continue under a certificate that has been replaced.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    return context


def _unusable(error: Exception) -> Unavailable:
    what = getattr(error, "reason", None) or type(error).__name__
    return BUNDLE_TLS(f"certificate or key of the bundle endpoint: {what}")


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
