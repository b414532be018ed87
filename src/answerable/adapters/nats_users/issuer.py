"""Issue one NATS user token per lease, signed in this process. The token expires at the server; a revocation list in
the account's token ends it earlier."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.nats_users.grants import checked_grants
from answerable.adapters.nats_users.revocations import revoked_in, with_revoked
from answerable.adapters.nats_users.system_account import away
from answerable.adapters.nats_users.tokens import signing_key, token, verified_claims
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.name import account_of, lease_of
from answerable.errors import Malformed
from answerable.errors.codes.leases import LEASE_RENEWAL, LEASE_SCOPE, LEASE_TAKEN, LEASE_UNTOLD

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.nats_users.grants import Grants
    from answerable.adapters.nats_users.system_account import SystemAccount
    from answerable.adapters.nats_users.tokens import SigningKey
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock

CUT_TRIES_MAX: Final = 50
CUT_PAUSE_SECONDS: Final = 0.02


def inbox_of(name: LeaseName) -> str:
    """Return the subject prefix of a lease's answers, which no other lease may subscribe to."""
    return f"_INBOX.{account_of(name)}"


class NatsIssuer:
    """Implements `ports.credential_issuer.CredentialIssuer`.

    account: public key of the account. key_of: returns the seed of the account's key or of one of its signing keys.
    operator_of: returns the seed of an operator key, which signs the account's token; None if nothing can be revoked,
    and then `system` is None too.
    operators: public keys of other signers of the account's token.
    """

    def __init__(
        self,
        *,
        account: str,
        key_of: Callable[[], str],
        clock: Clock,
        system: SystemAccount | None = None,
        operator_of: Callable[[], str] | None = None,
        operators: frozenset[str] = frozenset(),
        lease_seconds_max: int = 3600,
    ) -> None:
        self._account = account
        self._key_of = key_of
        self._clock = clock
        self._system = system
        self._operator_of = operator_of
        self._operators = operators
        self._lease_seconds_max = lease_seconds_max
        self._issued: dict[LeaseName, int] = {}
        self._ends: list[tuple[int, LeaseName]] = []
        self._waiting: dict[str, int] = {}
        self._revoked: dict[str, int] = {}
        self._pushing = anyio.Lock()
        self._traits = IssuerTraits(
            boundary="target",
            ends_by="target",
            revocable=system is not None,
            cuts_sessions=system is not None,
            ttl_seconds_min=2,
        )

    @property
    def traits(self) -> IssuerTraits:
        """Every server enforces the token and its expiry. Revocation is possible only if the account's token can be
        replaced."""
        return self._traits

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return checked_grants(scope)[1]

    async def issue(self, order: LeaseOrder) -> Credential:
        """Sign a token; no server is told of it. If a system account is set, a server is asked whether the lease was
        revoked before."""
        grants, faults = checked_grants(order.scope)
        if grants is None:
            raise LEASE_SCOPE("; ".join(faults), reasons=faults)
        now = self._seconds()
        ends = order.expires_at // 1000
        if not now < ends <= now + self._lease_seconds_max:
            fault = f"a lease on nats lives from 1 second to {self._lease_seconds_max} seconds"
            raise LEASE_SCOPE(fault, reasons=(fault,))
        self._forget(now)
        key = self._key()
        if order.name in self._issued:
            raise LEASE_TAKEN("the lease has a user at NATS already")
        self._issued[order.name] = ends
        heappush(self._ends, (ends, order.name))
        user = key.key_of(order.name)
        try:
            await self._unless_revoked(user.public)
        except BaseException:
            self._issued.pop(order.name, None)
            raise
        return self._signed(order.name, grants, key, user, now=now, ends=ends)

    async def _unless_revoked(self, user: str) -> None:
        if self._system is not None and user in revoked_in(await self._account_claims()):
            raise LEASE_TAKEN("the lease had a user at NATS before")

    def _signed(
        self, name: LeaseName, grants: Grants, key: SigningKey, user: SigningKey, *, now: int, ends: int
    ) -> Credential:
        account = account_of(name)
        own: dict[str, JSONValue] = {
            **grants.permissions(inbox_of(name)),
            "data": -1,
            "payload": -1,
            "allowed_connection_types": ["STANDARD"],
            "type": "user",
            "version": 2,
        }
        if key.public != self._account:
            own["issuer_account"] = self._account
        claims: dict[str, JSONValue] = {
            "exp": ends,
            "iat": now,
            "name": account,
            "sub": user.public,
            "nats": own,
        }
        return Credential(
            lease=name,
            account=account,
            expires_at=UnixMillis(ends * 1000),
            secret=Secret(token=token(claims, key), seed=user.seed),
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Always raises Refused (`lease.renewal`): a token's expiry is fixed when it is signed."""
        raise LEASE_RENEWAL("a NATS user token cannot be renewed: request another lease")

    async def revoke(self, name: LeaseName) -> Revoked:
        """Add the user to the account's revocations, which closes its connections, and wait until none is left."""
        now = self._seconds()
        ends = self._issued.get(name, now + self._lease_seconds_max)
        if self._system is None:
            if ends <= now:
                return Revoked()
            left = "the user token works until it ends: no key of the operator is set with which to revoke it"
            return Revoked(left=(left,), live_until=ends * 1000)
        user = self._key().key_of(name).public
        open_before = len(await self._system.connections(self._account, user))
        await self._push(user, ends)
        for _ in range(CUT_TRIES_MAX):
            if not await self._system.connections(self._account, user):
                self._issued.pop(name, None)
                return Revoked(sessions_cut=open_before)
            await anyio.sleep(CUT_PAUSE_SECONDS)
        raise away("a connection of a revoked user is still open", "unknown")

    async def live(self) -> tuple[LeaseName, ...]:
        """Return the leases that this process issued and did not revoke, and leases of any process that are connected.
        An unused token of another process is not known to any server."""
        self._forget(self._seconds())
        names = set(self._issued)
        if self._system is not None:
            for connection in await self._system.connections(self._account):
                name = lease_of(str(connection.get("name_tag", "")))
                if name is not None:
                    names.add(name)
        return tuple(sorted(names))

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Always raises Refused (`lease.untold`): rights are in the user's token, which no server stores."""
        raise LEASE_UNTOLD("NATS cannot report what a user may do")

    async def close(self) -> None:
        """Close the connection of the system account."""
        if self._system is not None:
            await self._system.close()

    async def _push(self, user: str, ends: int) -> None:
        """Add a user to the account's revocations, in one update with all other users that wait for theirs."""
        self._waiting[user] = ends
        async with self._pushing:
            if user not in self._waiting and user in self._revoked:
                return
            assert self._system is not None  # noqa: S101 - asked by those that have it
            now = self._seconds()
            self._revoked = {one: end for one, end in self._revoked.items() if end > now}
            wanted = {**self._revoked, **self._waiting}
            claims = with_revoked(await self._account_claims(), wanted, now=now)
            if claims is not None:
                await self._system.replace_token(token(claims, self._operator()))
                if with_revoked(await self._account_claims(), wanted, now=now) is not None:
                    raise away("somebody replaced the token of the account meanwhile", "unknown")
            self._revoked = wanted
            self._waiting = {one: end for one, end in self._waiting.items() if one not in wanted}

    async def _account_claims(self) -> dict[str, JSONValue]:
        assert self._system is not None  # noqa: S101 - asked by those that have it
        signers = self._operators | {self._operator().public}
        try:
            return verified_claims(
                await self._system.token_of(self._account), signers=signers, subject=self._account
            )
        except Malformed as wrong:
            raise away(wrong.message, "none") from None

    def _key(self) -> SigningKey:
        return signing_key(self._key_of(), of="A")

    def _operator(self) -> SigningKey:
        assert self._operator_of is not None  # noqa: S101 - set wherever the system account is
        return signing_key(self._operator_of(), of="O")

    def _seconds(self) -> int:
        return self._clock.now() // 1000

    def _forget(self, now: int) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, name = heappop(self._ends)
            if self._issued.get(name, now) <= now:
                self._issued.pop(name, None)
