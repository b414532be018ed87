"""What issuer and target of one HTTP target share: the leases that are out, and what each puts on a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest
from typing import TYPE_CHECKING

import anyio

from answerable.core.lease.checkout import CheckOuts
from answerable.errors.codes.leases import LEASE_GONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.http_target.scope import HttpScope
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.checkout import CheckOut
    from answerable.core.lease.credential import Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What makes a request the broker's. secrets: every text of it that must not come back. tls: names the client
    certificate, by the digest of what it was made from; empty for none."""

    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Injection()"


@dataclass(slots=True, kw_only=True)
class HttpLease:
    """secret: what its holder shows: the token itself, or a ticket that is good for nothing at the target.

    token_until: until when the server takes a token; 0 for none. lost: a token may have been made that nobody received.
    """

    scope: HttpScope
    secret: str = ""
    injection: Callable[[], Injection] | None = None
    token_until: int = 0
    lost: bool = False
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    def __repr__(self) -> str:
        return "HttpLease()"


Leases = CheckOuts[HttpLease]


def lease_behind(leases: Leases, credential: Credential, at: UnixMillis) -> CheckOut[HttpLease]:
    """The lease that this credential is of. Raises Refused (`lease.gone`) for one that ended, and for a credential that
    nobody here made."""
    out = leases.serving(credential.lease, at)
    shown = credential.secret.reveal(credential.secret.names()[0]) if credential.secret.names() else ""
    if not out.kept.secret or not compare_digest(shown.encode(), out.kept.secret.encode()):
        raise LEASE_GONE("the credential is not the one that was issued")
    return out
