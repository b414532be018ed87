"""Issue OAuth access tokens as leases, requested with the scope of one action and revoked by RFC 7009.

The server stores no lease names. A lease's token exists only in this process: after a kill, nobody has the token, and
it ends at its expiry. `outstanding` records that time at the latest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.http_target.grant import (
    ACCESS_TOKEN,
    Subject,
    error_in,
    granted_in,
    token_answer,
    token_form,
    token_in,
)
from answerable.adapters.http_target.leases import HttpLease
from answerable.adapters.http_target.scope import http_scope, scope_faults
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.errors import AnswerableError, Malformed, Unavailable, shown
from answerable.errors.codes.leases import (
    LEASE_DENIED,
    LEASE_RENEWAL,
    LEASE_SCOPE,
    LEASE_TAKEN,
    LEASE_TARGET,
    LEASE_UNTOLD,
)
from answerable.targets.standing_secret import Injection

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.http_target.custody import RefreshCustody
    from answerable.adapters.http_target.grant import Grant, TokenAnswer
    from answerable.adapters.http_target.leases import Leases
    from answerable.adapters.http_target.oauth_server import OAuthServer
    from answerable.adapters.http_target.outstanding import OutstandingTokens
    from answerable.adapters.http_target.scope import HttpScope
    from answerable.core.lease.checkout import CheckOut
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock

SCOPE_ERRORS: Final = frozenset({"invalid_scope", "invalid_target", "invalid_authorization_details"})
_TRANSIENT: Final = frozenset({408, 425, 429})
"""Of the statuses from 400 to 499, those after which the same request may be granted."""
DIED: Final = "its token: it went with the process that was killed, nobody has it, and the server ends it"
LOST: Final = "a token that the server may have made and nobody received"
OFFLINE: Final = "its token: the resource does not ask the authorization server, and takes it until it ends"
KEPT: Final = "its token: the authorization server takes none back, or would end the others with it"


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthGrant:
    """How tokens are obtained. subject, actor: secret references; subject_kind, actor_kind: their token types (RFC
    8693, section 3).

    can_revoke: there is a revocation endpoint.
    is_asked: the resource checks every token with the server, so that it refuses a revoked token.
    can_introspect: there is an introspection endpoint.
    token_seconds: token lifetime, if the server's expiry ends leases; 0 if the broker ends them.
    token_seconds_max: lifetime to assume if the server states none.
    """

    grant: Grant
    account: str
    subject: str = ""
    subject_kind: str = ACCESS_TOKEN
    actor: str = ""
    actor_kind: str = ACCESS_TOKEN
    can_revoke: bool = False
    is_asked: bool = False
    can_introspect: bool = False
    token_seconds: int = 0
    token_seconds_max: int = 3_600
    call_seconds_max: float = 10.0


class OAuthIssuer:
    """Implements ports.credential_issuer.CredentialIssuer."""

    def __init__(
        self,
        grant: OAuthGrant,
        *,
        server: OAuthServer,
        leases: Leases,
        clock: Clock,
        secret_of: Callable[[str], bytes],
        outstanding: OutstandingTokens,
        custody: RefreshCustody | None = None,
    ) -> None:
        self._grant = grant
        self._server = server
        self._leases = leases
        self._clock = clock
        self._secret_of = secret_of
        self._outstanding = outstanding
        self._custody = custody
        self._traits = IssuerTraits(
            boundary="target",
            ends_by="target" if grant.token_seconds else "broker",
            revocable=grant.can_revoke and grant.is_asked,
            ttl_seconds_min=grant.token_seconds,
        )

    @property
    def traits(self) -> IssuerTraits:
        return self._traits

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return scope_faults(scope, tokens=True)

    async def issue(self, order: LeaseOrder) -> Credential:
        scope = http_scope(order.scope, tokens=True)
        if order.name in await self._outstanding.left(self._clock.now()):
            raise LEASE_TAKEN(f"lease {shown(order.name)} was issued already")
        out = self._leases.put(order.name, HttpLease(scope=scope), order.expires_at, now=self._clock.now())
        # Shielded: a token that is being issued is always received, since otherwise nobody could revoke it.
        with anyio.CancelScope(shield=True):
            async with out.kept.lock:
                try:
                    longest = self._clock.now() + self._grant.token_seconds_max * 1000
                    await self._outstanding.begun(order.name, longest)
                    # A crash after this line leaves a token that nobody has; its lease name is in the file.
                    answer = await self._obtained(scope)
                except AnswerableError as failed:
                    await self._failed(out, failed)
                    raise
                self._take(out, answer)
                if out.kept.token_until > longest:
                    await self._outstanding.begun(order.name, out.kept.token_until)
        await anyio.lowlevel.checkpoint()
        return Credential(
            lease=order.name,
            account=self._grant.account,
            expires_at=out.expires_at,
            secret=Secret(token=answer.token),
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Extend a lease up to the expiry of its token, and no further."""
        out = self._leases.serving(name, self._clock.now())
        if expires_at > out.kept.token_until:
            raise LEASE_RENEWAL("a token cannot be renewed: request another lease")
        out.expires_at = max(out.expires_at, expires_at)

    async def revoke(self, name: LeaseName) -> Revoked:
        """Revoke a lease. From its first line on, no further request uses the token, whatever the server answers."""
        cut = self._leases.end(name)
        out = self._leases.find(name)
        if out is None:
            until = (await self._outstanding.left(self._clock.now())).get(name)
            return Revoked() if until is None else Revoked(left=(DIED,), live_until=until)
        # An issue of this lease that is under way completes first, within its own limits.
        async with out.kept.lock:
            if self._leases.find(name) is not out:
                return Revoked(sessions_cut=cut)
            left = await self._taken_back(out.kept)
        if not left or out.kept.token_until <= self._clock.now():
            self._leases.drop(name)
            await self._outstanding.gone(name)
            return Revoked(sessions_cut=cut)
        self._leases.fade(name, out.kept.token_until)
        return Revoked(sessions_cut=cut, left=(left,), live_until=out.kept.token_until)

    async def live(self) -> tuple[LeaseName, ...]:
        """Return live leases by the broker's own records: OAuth servers do not list tokens."""
        now = self._clock.now()
        found = ((name, self._leases.find(name)) for name in self._leases.names())
        ours = {name for name, out in found if out is not None and out.kept.token_until > now}
        earlier = (await self._outstanding.left(now)).keys() - set(self._leases.names())
        return tuple(sorted(ours | earlier))

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Return the token's rights by introspection. Raises Refused (`lease.untold`) if no endpoint is configured."""
        if not self._grant.can_introspect:
            raise LEASE_UNTOLD("the settings name no introspection endpoint")
        out = self._leases.find(name)
        if out is None or not out.kept.secret:
            return ()
        try:
            return granted_in(await self._server.introspect(out.kept.secret))
        except Malformed as fault:
            raise _unavailable(fault.message) from None

    async def close(self) -> None:
        """Close the connections to the authorization server."""
        await self._server.close()

    async def _obtained(self, scope: HttpScope) -> TokenAnswer:
        """Obtain a token no wider than the scope. A wider token is revoked at once."""
        grant = self._grant
        if self._custody is None:
            subject = self._subject()
            status, body = await self._server.token(token_form(grant.grant, scope, subject=subject))
        else:
            status, body = await self._custody.exchanged(
                lambda refresh: self._server.token(token_form(grant.grant, scope, refresh=refresh)),
                seconds_max=grant.call_seconds_max,
            )
        if status != 200:
            raise _refusal(status, body)
        try:
            return token_answer(body, scope, seconds_max=grant.token_seconds_max)
        except Malformed as fault:
            token = token_in(body)
            gone = not token or (grant.can_revoke and await self._server.revoke(token) and grant.is_asked)
            raise _unavailable(fault.message, effect_unknown=not gone) from None

    def _subject(self) -> Subject | None:
        grant = self._grant
        if grant.grant != "token_exchange":
            return None
        try:
            texts = [
                self._secret_of(one).decode("ascii").strip() if one else ""
                for one in (grant.subject, grant.actor)
            ]
        except UnicodeDecodeError:
            raise _unavailable("the subject token is none") from None
        except (Malformed, Unavailable) as fault:
            raise _unavailable(fault.message) from None
        return Subject(token=texts[0], kind=grant.subject_kind, actor=texts[1], actor_kind=grant.actor_kind)

    def _take(self, out: CheckOut[HttpLease], answer: TokenAnswer) -> None:
        token = answer.token
        injection = Injection(headers=(("authorization", f"Bearer {token}"),), secrets=(token,))
        out.kept.secret, out.kept.injection = token, lambda: injection
        out.kept.token_until = self._clock.now() + answer.seconds * 1000
        out.expires_at = min(out.expires_at, UnixMillis(out.kept.token_until))

    async def _failed(self, out: CheckOut[HttpLease], failed: AnswerableError) -> None:
        if isinstance(failed, Unavailable) and failed.effect == "unknown":
            out.is_ended, out.kept.lost = True, True
            out.kept.token_until = self._clock.now() + self._grant.token_seconds_max * 1000
        else:
            self._leases.drop(out.name)
            await self._outstanding.gone(out.name)

    async def _taken_back(self, kept: HttpLease) -> str:
        """Revoke the token and return what remains usable; empty for nothing. Raises Unavailable (`lease.target`)."""
        if kept.lost:
            return LOST
        if kept.token_until <= self._clock.now():
            return ""
        if not self._grant.can_revoke or not await self._server.revoke(kept.secret):
            return KEPT
        return "" if self._grant.is_asked else OFFLINE


def _refusal(status: int, body: bytes) -> AnswerableError:
    code = error_in(body)
    if code in SCOPE_ERRORS:
        return LEASE_SCOPE(f"the authorization server does not grant the scope of the lease: {shown(code)}")
    # Whatever the server did internally, no token was delivered.
    said = f"status {status}" + (f", {shown(code)}" if code else "")
    if 400 <= status < 500 and status not in _TRANSIENT:
        return LEASE_DENIED(f"the authorization server refuses a token: {said}")
    return _unavailable(f"the server gave none: {said}")


def _unavailable(why: str, *, effect_unknown: bool = False) -> Unavailable:
    return LEASE_TARGET(f"no token was issued: {why}", effect="unknown" if effect_unknown else "none")
