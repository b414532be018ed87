"""Issue an ACL user for each Redis lease, with a random password of which the server gets only the hash."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import anyio
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as LostConnection

from answerable.adapters.redis_acl.grants import checked_grants
from answerable.adapters.redis_acl.server import FAILURES, TooLong
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.name import account_of, lease_of
from answerable.core.lease.password_tries import others_to_try
from answerable.errors import Refused, Unavailable, shown
from answerable.errors.codes.leases import LEASE_GONE, LEASE_SCOPE, LEASE_TAKEN, LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from answerable.adapters.redis_acl.server import Line, RedisServer
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.errors import Effect
    from answerable.ports.entropy import Entropy

LABEL: Final = "answerable-broker"
LINES_MAX: Final = 8
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Enough for the names of all users, the longest answer."""
PASSWORD_BYTES: Final = 32
_TRAITS: Final = IssuerTraits(boundary="target", ends_by="broker")


class RedisIssuer:
    """Implements `ports.credential_issuer.CredentialIssuer`.

    password_of: the password of the broker's own account, called for each new connection. others_of: passwords to try
    if the server refuses the first. saves: whether the server stores users in an ACL file, from which a revoked user
    must be removed, too.
    """

    def __init__(
        self,
        server: RedisServer,
        *,
        account: str,
        password_of: Callable[[], str],
        entropy: Entropy,
        saves: bool = False,
        seconds_max: float = 10.0,
        others_of: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._server = server
        self._account = account
        self._password_of = password_of
        self._others_of = others_of
        self._entropy = entropy
        self._saves = saves
        self._seconds_max = seconds_max
        self._idle: list[Line] = []
        self._turns = anyio.Semaphore(LINES_MAX)
        self._issuing: set[LeaseName] = set()
        self._unanswered: dict[LeaseName, str] = {}

    @property
    def traits(self) -> IssuerTraits:
        """Redis enforces a user's rules, and has no expiry for users."""
        return _TRAITS

    def faults(self, scope: Scope) -> tuple[str, ...]:
        """Return the faults of `grants.checked_grants`."""
        return checked_grants(scope)[1]

    async def issue(self, order: LeaseOrder) -> Credential:
        """Create the user by one `ACL SETUSER`, which the server applies as a whole or not at all."""
        grants, faults = checked_grants(order.scope)
        if grants is None:
            raise LEASE_SCOPE("; ".join(faults), reasons=faults)
        account = account_of(order.name)
        if order.name in self._issuing:
            raise self._taken(account)
        self._issuing.add(order.name)
        try:
            if (await self._asked(["ACL", "GETUSER", account]))[0] is not None:
                raise self._taken(account)
            password = self._entropy.bytes(PASSWORD_BYTES).hex()
            rules = ["reset", "-@all", "sanitize-payload", *grants.rules()]
            rules += ["#" + sha256(password.encode()).hexdigest(), "on"]
            await self._asked(["ACL", "SETUSER", account, *rules], lease=order.name)
        finally:
            self._issuing.discard(order.name)
        return Credential(
            lease=order.name,
            account=account,
            expires_at=order.expires_at,
            secret=Secret(password=password),
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Check that the user exists. The server stores no expiry: the broker ends the lease."""
        if (await self._asked(["ACL", "GETUSER", account_of(name)]))[0] is None:
            raise LEASE_GONE("the lease no longer exists at the server")

    async def revoke(self, name: LeaseName) -> Revoked:
        """Close the user's connections and delete the user, by commands that the server runs without any login in
        between."""
        account = account_of(name)
        if unanswered := self._unanswered.get(name):
            # A command sent there may still be unread. The server reads nothing more from a closed connection.
            await self._asked(["CLIENT", "KILL", "ID", unanswered], lets_no=True)
        cut, gone = await self._asked(
            ["CLIENT", "KILL", "USER", account], ["ACL", "DELUSER", account], lets_no=True
        )
        if isinstance(gone, ResponseError):
            raise self._said_no(gone, "unknown")
        if isinstance(cut, ResponseError) and gone:
            # The broker's account may not kill connections. Deleting the user closes them, but without a count.
            raise self._said_no(cut, "unknown")
        if self._saves:
            await self._asked(["ACL", "SAVE"])
        self._unanswered.pop(name, None)
        return Revoked(sessions_cut=cut if isinstance(cut, int) else 0)

    async def live(self) -> tuple[LeaseName, ...]:
        """List the users with the lease prefix."""
        (users,) = await self._asked(["ACL", "USERS"])
        names = (lease_of(user.decode(errors="replace")) for user in users)
        return tuple(sorted(name for name in names if name is not None))

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """List, from `ACL GETUSER`, each command, key pattern and channel pattern; those of selectors with their
        number."""
        (user,) = await self._asked(["ACL", "GETUSER", account_of(name)])
        if user is None:
            return ()
        told = _texts(user)
        rights = _rights(told, "")
        selectors = told.get("selectors") or []
        for number, selector in enumerate(selectors if isinstance(selectors, list) else [], start=1):
            rights += _rights(selector, f"also {number}: ")
        return tuple(sorted(rights))

    async def close(self) -> None:
        """Close the pooled connections."""
        while self._idle:
            await self._idle.pop().close()

    async def _asked(
        self, *commands: Sequence[str], lease: LeaseName | None = None, lets_no: bool = False
    ) -> list[Any]:
        """Send commands and return the server's answers. lease: the lease under whose name to remember a connection
        that gave no answer."""
        async with self._turns:
            try:
                answers = await self._answers(commands, lease)
            except ConnectionResetError:
                # The server has closed a pooled connection. Every command sent here may be repeated.
                answers = await self._answers(commands, lease)
        for answer in answers:
            if isinstance(answer, ResponseError) and not lets_no:
                raise self._said_no(answer, "none")
        return answers

    async def _answers(self, commands: Sequence[Sequence[str]], lease: LeaseName | None) -> list[Any]:
        """Send on a pooled connection, or a new one. Raises ConnectionResetError if a pooled one turned out closed."""
        is_warm = bool(self._idle)
        line = self._idle.pop() if is_warm else await self._opened()
        # A cancelled caller waits for the answer: a sent command cannot be recalled.
        with anyio.CancelScope(shield=True):
            try:
                with anyio.fail_after(self._seconds_max):
                    answers = await line.ask(commands, bytes_max=ANSWER_BYTES_MAX)
            except (*FAILURES, TooLong) as failed:
                if is_warm and isinstance(failed, ConnectionError | LostConnection):
                    while self._idle:
                        self._idle.pop().drop()
                    raise ConnectionResetError from None
                if lease is not None:
                    self._unanswered[lease] = line.client_id
                raise self._away("unknown") from None
        self._idle.append(line)
        return answers

    async def _opened(self) -> Line:
        try:
            with anyio.fail_after(self._seconds_max):
                return await self._entered()
        except ResponseError as said:
            raise self._said_no(said, "none") from None
        except FAILURES:
            raise self._away("none") from None

    async def _entered(self) -> Line:
        """Log in with the current password or, while a rotation is under way, with one of the others."""
        first = self._password_of()
        try:
            return await self._server.opened(self._account, first, label=LABEL)
        except AuthenticationError as refused:
            for other in others_to_try(first, self._others_of):
                with suppress(AuthenticationError):
                    return await self._server.opened(self._account, other, label=LABEL)
            raise refused

    def _taken(self, account: str) -> Refused:
        return LEASE_TAKEN(f"the server has a user {shown(account)} already")

    def _away(self, effect: Effect) -> Unavailable:
        return LEASE_TARGET("redis does not answer, or refuses the broker's account", effect=effect)

    def _said_no(self, said: ResponseError, effect: Effect) -> Unavailable:
        return LEASE_TARGET(f"redis refuses the broker's account: {shown(said)}", effect=effect)


def _texts(answer: Any) -> dict[str, Any]:
    """Return a map from the server with its names as text."""
    return {str(name.decode(errors="replace")): one for name, one in dict(answer).items()}


def _rights(rules: Any, where: str) -> list[str]:
    told = (
        rules if isinstance(rules, dict) and all(isinstance(name, str) for name in rules) else _texts(rules)
    )
    lines = []
    for kind in ("commands", "keys", "channels"):
        text = told.get(kind) or b""
        lines += [f"{where}{kind} {one.decode(errors='replace')}" for one in text.split()]
    return lines
