"""TLS whose server is known by the SPIFFE ID of its X.509-SVID: judged inside the handshake, before a byte is sent."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

CERTIFICATES_MAX: Final = 10
"""In a chain that a server presents."""

_DER: Final = 2  # _ssl.ENCODING_DER, which has no public name.


class SvidContext(ssl.SSLContext):
    """A client's context that believes no authority but what `judge` believes, and looks at no host name.

    judge: gets the presented certificates, DER, leaf first; raises to end the handshake. OpenSSL itself has already
    seen that the server holds the leaf's key. Made by `svid_context`.
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
    """A context for one server. judge: as in SvidContext; raises ssl.SSLError for a chain that is not believed."""
    context = SvidContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # Not for want of checks: OpenSSL would check names and system authorities that say nothing here.
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.sslobject_class = _JudgedObject
    context.judge = judge
    return context


def _presented(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """What the server sent, DER, leaf first."""
    chain_of = getattr(connection, "get_unverified_chain", None)
    if chain_of is not None:  # Python 3.13 and later
        return tuple(cast("list[bytes]", chain_of()))
    inner = getattr(connection, "_sslobj")  # noqa: B009
    return tuple(one.public_bytes(_DER) for one in inner.get_unverified_chain() or ())
