"""Issue leases on a standing secret: a key, password or client certificate that the broker adds to requests.

The target knows no leases. A lease is a ticket that is valid only for a session of this broker. The secret is read for
each request, so that a changed one takes effect. The secret stays valid after every lease has ended: only changing it
at the target stops another holder of a copy.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final, Literal

from answerable.adapters.http_target.leases import HttpLease, Injection
from answerable.adapters.http_target.scope import http_scope, scope_faults
from answerable.core.base64url import to_base64url
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.credential_redaction import SECRET_CHARS_MIN
from answerable.core.lease.name import account_of
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.leases import LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.http_target.leases import Leases
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy

Place = Literal["header", "query", "basic", "certificate"]
TICKET_BYTES: Final = 32
TRAITS: Final = IssuerTraits(boundary="broker", ends_by="broker")


class StandingSecret:
    """Where a standing secret is placed on a request. name: of the header or parameter, or the user name. prefix: text
    before the secret in a header, such as `Bearer `. secret: a reference; not read if the client certificate alone
    authenticates."""

    def __init__(
        self,
        place: Place,
        *,
        secret: str,
        secret_of: Callable[[str], bytes],
        name: str = "authorization",
        prefix: str = "",
    ) -> None:
        self._place = place
        self._secret = secret
        self._secret_of = secret_of
        self._name = name
        self._prefix = prefix

    def injection(self) -> Injection:
        """Return the credentials with the current secret. Raises Unavailable (`lease.target`)."""
        if self._place == "certificate":
            return Injection()
        try:
            secret = self._secret_of(self._secret).decode("utf-8").strip()
        except UnicodeDecodeError:
            raise _unusable("it is no text") from None
        except (Malformed, Unavailable) as fault:
            raise _unusable(fault.message) from None
        if len(secret) < SECRET_CHARS_MIN or not secret.isprintable():
            raise _unusable(
                f"it has fewer than {SECRET_CHARS_MIN} characters, or some that cannot be printed"
            )
        if self._place == "query":
            return Injection(query=((self._name, secret),), secrets=(secret,))
        if self._place == "basic":
            pair = b64encode(f"{self._name}:{secret}".encode()).decode()
            return Injection(headers=(("authorization", f"Basic {pair}"),), secrets=(secret, pair))
        if not secret.isascii():
            raise _unusable("a header takes ASCII only")
        return Injection(headers=((self._name, f"{self._prefix}{secret}"),), secrets=(secret,))


class StandingIssuer:
    """Implements ports.credential_issuer.CredentialIssuer with the broker's own records: the target is not called."""

    def __init__(self, standing: StandingSecret, *, leases: Leases, clock: Clock, entropy: Entropy) -> None:
        self._standing = standing
        self._leases = leases
        self._clock = clock
        self._entropy = entropy

    @property
    def traits(self) -> IssuerTraits:
        return TRAITS

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return scope_faults(scope, tokens=False)

    async def issue(self, order: LeaseOrder) -> Credential:
        scope = http_scope(order.scope, tokens=False)
        self._standing.injection()
        ticket = to_base64url(self._entropy.bytes(TICKET_BYTES))
        kept = HttpLease(scope=scope, secret=ticket, injection=self._standing.injection)
        self._leases.put(order.name, kept, order.expires_at)
        return Credential(
            lease=order.name,
            account=account_of(order.name),
            expires_at=order.expires_at,
            secret=Secret(ticket=ticket),
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        out = self._leases.serving(name, self._clock.now())
        out.expires_at = max(out.expires_at, expires_at)

    async def revoke(self, name: LeaseName) -> Revoked:
        cut = self._leases.end(name)
        self._leases.drop(name)
        return Revoked(sessions_cut=cut)

    async def live(self) -> tuple[LeaseName, ...]:
        return self._leases.names()

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Return the rules of the lease: the broker itself enforces them."""
        out = self._leases.find(name)
        return () if out is None else tuple(sorted(map(str, out.kept.scope.rules)))

    async def close(self) -> None:
        """No connection is held."""


def _unusable(why: str) -> Unavailable:
    return LEASE_TARGET(f"the standing secret cannot be used: {why}")
