"""Issue one STS role session per lease. STS ends the session at its expiry; with IAM access, an inline denial ends it
earlier."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
from botocore.exceptions import BotoCoreError, ClientError

from answerable.adapters.aws_sts import denials
from answerable.adapters.aws_sts.clients import Keys, unavailable
from answerable.adapters.aws_sts.scope import SESSION_SECONDS_MIN, faults_of, grant_of
from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.name import account_of
from answerable.core.lease.unended import Unended
from answerable.errors import Unavailable
from answerable.errors.codes.leases import LEASE_RENEWAL, LEASE_TARGET, LEASE_UNTOLD
from answerable.ports.credential_issuer import PORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.aws_sts.clients import AwsClients
    from answerable.adapters.aws_sts.scope import Grant
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock

LEASE_TAG: Final = "answerable-lease"
UNDO_SECONDS_MAX: Final = 30.0
MINT_SECONDS_MAX: Final = 60
"""Allowance for a slow answer to a mint, so that a lease that is still being minted is not forgotten too early."""


class AwsIssuer:
    """Implements ports.credential_issuer.CredentialIssuer on STS, and on IAM when `denies` is set."""

    def __init__(
        self,
        *,
        clients: AwsClients,
        keys: Callable[[], Keys],
        roles: tuple[str, ...],
        denies: bool,
        session_seconds_max: int,
        answer_seconds_max: float,
        clock: Clock,
        started_at: int,
    ) -> None:
        """keys: returns the broker's own keys; called for each request. roles: role ARNs that the broker may assume.
        denies: whether the broker may write inline policies of these roles. session_seconds_max: longest session to
        request. started_at: when this process began to mint, in Unix milliseconds."""
        self._clients = clients
        self._keys = keys
        self._roles = roles
        self._denies = denies
        self._session_seconds_max = session_seconds_max
        self._answer_seconds_max = answer_seconds_max
        self._clock = clock
        life_ms_max = (session_seconds_max + MINT_SECONDS_MAX) * 1000
        self._unended = Unended(started_at=started_at, life_ms_max=life_ms_max)
        self._grants: dict[LeaseName, Grant] = {}
        self._made: dict[str, tuple[Keys, Any]] = {}

    @property
    def traits(self) -> IssuerTraits:
        """AWS enforces the session policy and the expiry. No connection outlasts a request."""
        return IssuerTraits(
            boundary="target",
            ends_by="target",
            revocable=self._denies,
            cuts_sessions=False,
            ttl_seconds_min=SESSION_SECONDS_MIN,
        )

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return faults_of(scope, self._roles)

    async def issue(self, order: LeaseOrder) -> Credential:
        """Mint a role session. A cancellation waits for the answer of AWS and then ends the new session where it
        can."""
        grant = grant_of(order.scope, self._roles)
        now = self._clock.now()
        wanted = (order.expires_at - now) // 1000
        seconds = min(max(SESSION_SECONDS_MIN, wanted), self._session_seconds_max)
        latest = now + (seconds + MINT_SECONDS_MAX) * 1000
        self._unended.begin(order.name, expires_at=latest, now=now)
        self._grants[order.name] = grant
        try:
            with anyio.CancelScope(shield=True):
                secret = await self._minted(order.name, grant, seconds)
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(UNDO_SECONDS_MAX, shield=True):
                await self._ended(order.name)
            raise
        # Computed with the local clock: the session's seconds count from before the answer arrived.
        expires_at = UnixMillis(self._clock.now() + seconds * 1000)
        return Credential(
            lease=order.name, account=account_of(order.name), expires_at=expires_at, secret=secret
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Always raises Refused (`lease.renewal`): STS fixes the end of a session when it creates the session."""
        raise LEASE_RENEWAL("an AWS session cannot be renewed: request another lease")

    async def revoke(self, name: LeaseName) -> Revoked:
        """Deny everything to the session of this name, on its role, or on every role if the role is unknown. If denials
        are off or a role has no room for another policy, the result says what remains usable and until when."""
        now = self._clock.now()
        until = self._unended.until(name, now)
        if not until:
            self._forget(name)
            return Revoked()
        grant = self._grants.get(name)
        if not self._denies:
            self._grants.pop(name, None)
            return self._unended.left(
                name, now=now, why="AWS ends a session only in time: `denies` is off for this target"
            )
        full = []
        for role in (grant.role,) if grant else self._roles:
            if not await self._denied(role, name, until):
                full.append(role)
        if full:
            self._grants.pop(name, None)
            return self._unended.left(
                name,
                now=now,
                why=f"the role {denials.role_name(full[0])} has no room for another inline policy",
            )
        self._forget(name)
        return Revoked()

    async def live(self) -> tuple[LeaseName, ...]:
        """Return the leases that this process minted and has not ended. AWS cannot list sessions."""
        return self._unended.live(self._clock.now())

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Always raises Refused (`lease.untold`) for a live lease: AWS does not report the policy of a session."""
        if self._unended.until(name, self._clock.now()):
            raise LEASE_UNTOLD("AWS cannot report what a session may do")
        return ()

    async def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        made, self._made = self._made, {}
        for _, client in made.values():
            client.close()

    async def _minted(self, name: LeaseName, grant: Grant, seconds: int) -> Secret:
        tags = [{"Key": key, "Value": value} for key, value in ((LEASE_TAG, name), *grant.tags)]
        asked = {
            "RoleArn": grant.role,
            "RoleSessionName": account_of(name),
            "Policy": grant.policy,
            "DurationSeconds": seconds,
            "SourceIdentity": grant.source_identity or account_of(name),
            "Tags": tags,
            "TransitiveTagKeys": [tag["Key"] for tag in tags],
        }
        # A crash between here and the answer leaves a session whose keys nobody received, until it is denied by name or
        # expires.
        try:
            answer = await self._called("sts", lambda sts: sts.assume_role(**asked))
        except Unavailable as error:
            if error.effect == "none":
                self._forget(name)
            raise
        keys = answer["Credentials"]
        return Secret(
            access_key=keys["AccessKeyId"],
            secret_key=keys["SecretAccessKey"],
            session_token=keys["SessionToken"],
            actions=encode(list(grant.actions)).decode(),
        )

    async def _denied(self, role: str, name: LeaseName, until: int) -> bool:
        """Return whether the session is denied on this role; False if the role has no room. Expired denials are removed
        first to make room."""
        until_seconds = until // 1000 + 1
        known = await self._called("iam", partial(denials.denied, role=role))
        if known.get(name, 0) >= until_seconds - MINT_SECONDS_MAX:
            return True
        now_seconds = self._clock.now() // 1000
        for other, when in known.items():
            if when < now_seconds:
                await self._called(
                    "iam",
                    partial(denials.lift, role=role, name=other, until_seconds=when),
                    missing_is_fine=True,
                )
        try:
            await self._called(
                "iam", partial(denials.deny, role=role, name=name, until_seconds=until_seconds)
            )
        except _NoRoomError:
            return False
        return True

    async def _ended(self, name: LeaseName) -> None:
        try:
            await self.revoke(name)
        except Unavailable:
            return

    def _forget(self, name: LeaseName) -> None:
        self._unended.end(name)
        self._grants.pop(name, None)

    async def _called(
        self, service: str, call: Callable[[Any], Any], *, missing_is_fine: bool = False
    ) -> Any:
        """Run a call with a service's client. missing_is_fine: return None if the entity does not exist. Raises
        Unavailable (`lease.target`), _NoRoomError."""
        try:
            return await self._clients.called(lambda: call(self._client(service)))
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == denials.FULL:
                raise _NoRoomError from None
            if missing_is_fine and code == "NoSuchEntity":
                return None
            raise unavailable(error, code=LEASE_TARGET, port=PORT) from None
        except BotoCoreError as error:
            raise unavailable(error, code=LEASE_TARGET, port=PORT) from None

    def _client(self, service: str) -> Any:
        """Return the cached client of a service, which is replaced when the broker's keys change. Runs in worker
        threads: two threads may both create a client, and one of the two is cached."""
        keys = self._keys()
        kept = self._made.get(service)
        if kept is None or kept[0] != keys:
            made = self._clients.made(service, keys, answer_seconds_max=self._answer_seconds_max)
            self._made[service] = kept = (keys, made)
        return kept[1]


class _NoRoomError(Exception):
    """The inline policies of a role have reached their size limit."""
