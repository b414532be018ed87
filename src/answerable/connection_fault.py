"""Why a connection could not be made, or broke: in words that a user can act on, and that quote nothing that was sent.

What HTTP libraries say themselves may quote a request. What the operating system and OpenSSL say does not.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

CAUSES_MAX: Final = 16


def certificate_fault(error: BaseException) -> str:
    """What OpenSSL has against the certificate of the other side; empty where it is about something else."""
    found = (one.verify_message for one in _causes(error) if isinstance(one, ssl.SSLCertVerificationError))
    return next(found, "")


def connection_fault(error: BaseException) -> str:
    """One line: what is wrong with the certificate, TLS or the network; else the kind of failure."""
    certificate = certificate_fault(error)
    if certificate:
        return f"its certificate is not accepted: {certificate}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return f"TLS failed: {cause.reason.replace('_', ' ').lower()}"
        if isinstance(cause, socket.gaierror):
            return f"its name leads nowhere: {str(cause.strerror).lower()}"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """It and what led to it, the outermost first; of several that failed together, the first."""
    seen: BaseException | None = error
    for _ in range(CAUSES_MAX):
        if seen is None:
            return
        yield seen
        first = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else None
        seen = first or seen.__cause__ or seen.__context__
