"""Hold the leases of one HTTP target, shared by its issuer and its target, with the credentials that each adds to a
request."""

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
    from answerable.targets.standing_secret import Injection


@dataclass(slots=True, kw_only=True)
class HttpLease:
    """One lease. secret: what its holder presents: the token itself, or a ticket that the target does not accept.

    injection: returns the credentials for a request. lost: a token may have been issued that nobody received.
    token_until: until when the server accepts the token, in Unix milliseconds; 0 for none.
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
    """Return the lease of this credential. Raises Refused (`lease.gone`) if the lease has ended or this broker did not
    issue the credential."""
    out = leases.serving(credential.lease, at)
    shown = credential.secret.reveal(credential.secret.names()[0]) if credential.secret.names() else ""
    if not out.kept.secret or not compare_digest(shown.encode(), out.kept.secret.encode()):
        raise LEASE_GONE("the credential is not the one that was issued")
    return out
