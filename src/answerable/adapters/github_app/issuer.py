"""Issue one installation token per lease. GitHub has no name for a token: only a request with the token itself can
revoke it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import anyio.lowlevel

from answerable.adapters.github_app.scope import faults_of, grant_of, rights_of
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.unended import Unended
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.leases import LEASE_RENEWAL, LEASE_TARGET, LEASE_UNTOLD

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.adapters.github_app.app_token import AppTokens
    from answerable.adapters.github_app.scope import Grant
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock

TOKEN_SECONDS: Final = 3_600
"""Lifetime of every installation token."""
MINT_SECONDS_MAX: Final = 60
"""Allowance for a slow answer to a mint, so that a lease that is still being minted is not forgotten too early."""
UNDO_SECONDS_MAX: Final = 30.0
HEADERS: Final = (("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28"))

_DEAD: Final = 401
"""GitHub's status for a token that is no longer valid."""


class Api(Protocol):
    """Client of GitHub's API. Calls return status and JSON object, and raise Unavailable (`lease.target`)."""

    async def asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, JSONValue] | None = None,
        *,
        headers: Mapping[str, str],
        taken: Collection[int] = (),
    ) -> tuple[int, dict[str, JSONValue]]:
        """Send one request. taken: error statuses that the caller handles itself."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    token: str = field(repr=False)
    rights: tuple[str, ...]


class GitHubIssuer:
    """Implements ports.credential_issuer.CredentialIssuer on one installation of an app.

    Tokens are stored in memory until they are revoked, since only the token itself can revoke a token. When the process
    dies, its tokens stay valid, but unknown to anyone, until their hour ends.
    """

    def __init__(
        self,
        *,
        api: Api,
        app: AppTokens,
        installation: int,
        owner: str,
        clock: Clock,
        started_at: int,
    ) -> None:
        """owner: account that the installation belongs to. started_at: when this process began to mint, in Unix
        milliseconds."""
        self._api = api
        self._app = app
        self._installation = installation
        self._owner = owner
        self._clock = clock
        self._unended = Unended(started_at=started_at, life_ms_max=TOKEN_SECONDS * 1000)
        self._held: dict[LeaseName, _Held] = {}

    @property
    def traits(self) -> IssuerTraits:
        """GitHub enforces repositories and permissions and ends each token after an hour."""
        return IssuerTraits(
            boundary="target", ends_by="target", cuts_sessions=False, ttl_seconds_min=TOKEN_SECONDS
        )

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return faults_of(scope, self._owner)

    async def issue(self, order: LeaseOrder) -> Credential:
        """Mint an installation token. A cancellation waits for GitHub's answer and then revokes the new token."""
        grant = grant_of(order.scope, self._owner)
        now = self._clock.now()
        latest = now + (TOKEN_SECONDS + MINT_SECONDS_MAX) * 1000
        self._unended.begin(order.name, expires_at=latest, now=now)
        try:
            with anyio.CancelScope(shield=True):
                held = await self._minted(order.name, grant)
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(UNDO_SECONDS_MAX, shield=True):
                await self._ended(order.name)
            raise
        # Computed with the local clock: the token's hour counts from before the answer arrived.
        expires_at = UnixMillis(self._clock.now() + TOKEN_SECONDS * 1000)
        secret = {"token": held.token} | ({"requests": grant.requests} if grant.requests else {})
        return Credential(lease=order.name, account="", expires_at=expires_at, secret=Secret(**secret))

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Always raises Refused (`lease.renewal`): GitHub fixes the end of a token."""
        raise LEASE_RENEWAL("an installation token cannot be renewed: request another lease")

    async def revoke(self, name: LeaseName) -> Revoked:
        """Revoke the token by a request with the token itself. If the token is lost, because a process died or GitHub's
        answer never arrived, the result says that it stays valid, unused, until its hour ends."""
        held = self._held.get(name)
        if held is None:
            why = "its token was never received or is lost, and GitHub ends one only for whoever has it"
            return self._unended.left(name, now=self._clock.now(), why=why)
        await self._revoked(held.token)
        self._held.pop(name, None)
        self._unended.end(name)
        return Revoked()

    async def live(self) -> tuple[LeaseName, ...]:
        """Return the leases that this process minted. GitHub cannot list tokens."""
        return self._unended.live(self._clock.now())

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Return the rights that GitHub reported when it issued the token."""
        if held := self._held.get(name):
            return held.rights
        if self._unended.until(name, self._clock.now()):
            raise LEASE_UNTOLD("GitHub cannot report what a lost token may do")
        return ()

    async def close(self) -> None:
        """Close the connections to GitHub."""
        await self._api.close()

    async def _minted(self, name: LeaseName, grant: Grant) -> _Held:
        # 1. Request a narrowed token. A crash here leaves a token that nobody received, until its hour ends.
        path = f"/app/installations/{self._installation}/access_tokens"
        try:
            _, answer = await self._api.asked(
                "POST", path, grant.asked(), headers=self._headers(self._app.signed())
            )
        except Malformed as unsigned:
            self._unended.end(name)
            raise LEASE_TARGET(unsigned.message) from None
        except Unavailable as error:
            if error.effect == "none":
                self._unended.end(name)
            raise
        token = answer.get("token")
        if not isinstance(token, str) or not token.isascii() or not token:
            raise LEASE_TARGET("GitHub answered a token request without a token", effect="unknown")
        # 2. Store the token before anything else, so that it can be revoked.
        held = _Held(token=token, rights=rights_of(answer, self._owner))
        self._held[name] = held
        # 3. Compare the granted rights with the requested ones.
        if beyond := grant.beyond(answer):
            gone = await self._ended(name)
            raise LEASE_TARGET(
                f"GitHub granted more than was requested, {beyond}; the token was not used",
                effect="none" if gone else "unknown",
            )
        return held

    async def _ended(self, name: LeaseName) -> bool:
        try:
            return (await self.revoke(name)).is_gone
        except Unavailable:
            return False

    async def _revoked(self, token: str) -> None:
        await self._api.asked("DELETE", "/installation/token", headers=self._headers(token), taken={_DEAD})

    def _headers(self, token: str) -> dict[str, str]:
        return {**dict(HEADERS), "authorization": f"Bearer {token}"}
