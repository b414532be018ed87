"""Port: the broker's own account at a target, whose password the broker can change by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

PORT = "own_account"
VALUE_BYTES = 32
"""Random bytes in a new password. The password is written in hexadecimal, which every target accepts."""


class AdminAccount(Protocol):
    """Promises: no password appears in what the target logs, where the target offers a way to avoid it; nothing of the
    account changes except its password.

    Raises only Unavailable (`account.*`), with effect `unknown` where the target may have applied the change, and the
    errors named below.
    """

    @property
    def place(self) -> str:
        """Name the account and its server, so that two targets sharing an account are detected. Contains no secret."""
        ...

    async def set_to(self, new: str, *, known: Sequence[str], cuts: bool) -> None:
        """Log in with the first known password that the target accepts, and make `new` the account's only valid
        password. The change is durable at the target when this returns. If `new` is already valid, the call is
        idempotent. cuts: also end every other session of this account, which may have been opened with the old
        password.

        Raises Refused (`account.refused`): the target accepts none of the known passwords, or does not let the account
        change its own.
        """
        ...

    async def takes(self, value: str) -> bool:
        """Whether the target accepts this password for the account now."""
        ...
