"""Check the client certificate of a TLS connection: whether it is valid now, and its SHA-256."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography import x509

from answerable.errors.codes.workloads import MTLS_CERTIFICATE, MTLS_EXPIRED

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis


def standing_certificate(der: bytes, *, now: UnixMillis) -> str:
    """Return the SHA-256, hex, of a certificate that is valid now. The TLS handshake has already verified the issuer.

    Raises Unverified (`mtls.certificate` for none or an unreadable one, `mtls.expired`).
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except ValueError:
        raise MTLS_CERTIFICATE() from None
    if not begins <= datetime.fromtimestamp(now / 1000, UTC) < ends:
        raise MTLS_EXPIRED()
    return sha256(der).hexdigest()
