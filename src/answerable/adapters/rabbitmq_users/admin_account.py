"""Rotate the password of the broker's own RabbitMQ user through the management API. The server gets only a salted
hash."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from answerable.errors import Unavailable
from answerable.errors.codes.leases import ACCOUNT_TARGET
from answerable.targets.own_account import let_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from answerable.adapters.rabbitmq_users.management import Management
    from answerable.errors import Effect
    from answerable.ports.entropy import Entropy

SALT_BYTES: Final = 4
"""RabbitMQ's salt length. The password has 256 random bits."""


class RabbitOwnAccount:
    """Implements ports.admin_account.AdminAccount. asked_with: returns the management API for a given password of the
    account."""

    def __init__(
        self, address: str, account: str, *, asked_with: Callable[[str], Management], entropy: Entropy
    ) -> None:
        self._address = address
        self._account = account
        self._asked_with = asked_with
        self._entropy = entropy

    @property
    def place(self) -> str:
        return f"rabbitmq {self._account} at {self._address}"

    async def set_to(self, new: str, *, known: Sequence[str], cuts: bool) -> None:
        """Set the password. Sends the user's tags along, since the server would drop them."""
        management = await let_in(self.place, known, self._opened)
        try:
            found = await self._asked(management.get("users", self._account), "none")
            tags = found.get("tags", "") if isinstance(found, dict) else ""
            salt = self._entropy.bytes(SALT_BYTES)
            content = {
                "password_hash": b64encode(salt + sha256(salt + new.encode()).digest()).decode(),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": ",".join(map(str, tags)) if isinstance(tags, list) else str(tags),
            }
            await self._asked(management.put("users", self._account, content=content), "unknown")
        finally:
            await management.close()
        if cuts:
            after = self._asked_with(new)
            try:
                await self._asked(after.delete("connections", "username", self._account), "unknown")
            finally:
                await after.close()

    async def takes(self, value: str) -> bool:
        management = self._asked_with(value)
        try:
            return await management.lets_in()
        finally:
            await management.close()

    async def _opened(self, value: str) -> Management | None:
        return self._asked_with(value) if await self.takes(value) else None

    async def _asked(self, answer: Awaitable[Any], effect: Effect) -> Any:
        try:
            return await answer
        except Unavailable as failed:
            raise ACCOUNT_TARGET(failed.message, effect=effect) from None
