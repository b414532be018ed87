"""Rotate the password of the broker's own Redis user. The server gets only its hash.

At a restart Redis forgets whatever its ACL file does not contain. The file is written before the change, so that a
server without an ACL file refuses before anything has changed, and again after it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import anyio
from redis.exceptions import AuthenticationError, ResponseError

from answerable.adapters.redis_acl.server import FAILURES, TooLong
from answerable.errors import Unavailable, shown
from answerable.errors.codes.leases import ACCOUNT_REFUSED, ACCOUNT_TARGET
from answerable.targets.own_account import let_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.redis_acl.server import Line, RedisServer
    from answerable.errors import Effect

ANSWER_BYTES_MAX: Final = 65_536


class RedisOwnAccount:
    """Implements ports.admin_account.AdminAccount."""

    def __init__(self, server: RedisServer, *, account: str, seconds_max: float) -> None:
        self._server = server
        self._account = account
        self._seconds_max = seconds_max

    @property
    def place(self) -> str:
        return f"redis {self._account} at {self._server.address}"

    async def set_to(self, new: str, *, known: Sequence[str], cuts: bool) -> None:
        """Set the password by one `ACL SETUSER`, which the server applies as a whole or not at all."""
        line = await let_in(self.place, known, self._opened)
        hashed = "#" + sha256(new.encode()).hexdigest()
        try:
            await self._told(line, "none", "ACL", "SAVE")
            await self._told(line, "unknown", "ACL", "SETUSER", self._account, "resetpass", hashed)
            await self._told(line, "unknown", "ACL", "SAVE")
            if cuts:
                await self._told(line, "unknown", "CLIENT", "KILL", "USER", self._account, "SKIPME", "yes")
        finally:
            line.drop()

    async def takes(self, value: str) -> bool:
        line = await self._opened(value)
        if line is not None:
            line.drop()
        return line is not None

    async def _opened(self, value: str) -> Line | None:
        """Log in with this password; None if the server refuses it."""
        try:
            with anyio.fail_after(self._seconds_max):
                return await self._server.opened(self._account, value, label="answerable-rotation")
        except AuthenticationError:
            return None
        except (*FAILURES, TooLong):
            raise self._away("none") from None

    async def _told(self, line: Line, effect: Effect, *command: str) -> None:
        try:
            with anyio.fail_after(self._seconds_max):
                (answer,) = await line.ask([command], bytes_max=ANSWER_BYTES_MAX)
        except (*FAILURES, TooLong):
            raise self._away(effect) from None
        if isinstance(answer, ResponseError):
            said = f"redis does not let {self._account} do {' '.join(command[:2])}: {shown(answer)}"
            if effect == "none" or command[1] == "SETUSER":
                raise ACCOUNT_REFUSED(said)
            raise ACCOUNT_TARGET(said, effect=effect)

    def _away(self, effect: Effect) -> Unavailable:
        return ACCOUNT_TARGET("redis does not answer", effect=effect)
