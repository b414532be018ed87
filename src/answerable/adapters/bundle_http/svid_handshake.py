"""Authenticate a TLS server by the SPIFFE ID of its X.509-SVID, inside the handshake and before any application byte is
sent."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

CERTIFICATES_MAX: Final = 10
"""Limit of the chain that a server presents."""

_DER: Final = 2  # _ssl.ENCODING_DER, which has no public name.


class SvidContext(ssl.SSLContext):
    """A client TLS context that trusts only the chains that `judge` accepts. Host names and system authorities are not
    checked.

    judge: receives the presented certificates (DER, leaf first) and raises to abort the handshake. OpenSSL has already
    verified that the server holds the leaf's private key. Created by `svid_context`.
    """

    judge: Callable[[tuple[bytes, ...]], None]


class _JudgedObject(ssl.SSLObject):
    def do_handshake(self) -> None:
        super().do_handshake()
        chain = _presented(self)
        if not 0 < len(chain) <= CERTIFICATES_MAX:
            raise ssl.SSLError(f"a chain of {len(chain)} certificates, expected 1 to {CERTIFICATES_MAX}")
        context = self.context
        if not isinstance(context, SvidContext):
            raise ssl.SSLError("the connection has lost its judge")
        context.judge(chain)


def svid_context(judge: Callable[[tuple[bytes, ...]], None]) -> SvidContext:
    """Create a context for one server. judge: as in SvidContext; raises ssl.SSLError for a chain that it rejects."""
    context = SvidContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # `judge` checks the chain. OpenSSL's own checks of host names and system authorities do not apply to SPIFFE.
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.sslobject_class = _JudgedObject
    context.judge = judge
    return context


def _presented(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates that the server presented, DER, leaf first."""
    chain_of = getattr(connection, "get_unverified_chain", None)
    if chain_of is not None:  # Python 3.13 and later
        return tuple(cast("list[bytes]", chain_of()))
    inner = getattr(connection, "_sslobj")  # noqa: B009
    return tuple(one.public_bytes(_DER) for one in inner.get_unverified_chain() or ())
