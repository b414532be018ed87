"""Port: the broker's own account at a target, whose password it can change by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

PORT = "own_account"
VALUE_BYTES = 32
"""Of chance in a new password; it is written in hexadecimal, which every target takes."""


class AdminAccount(Protocol):
    """Promises: no password is in anything that the target logs, where the target can be told less; nothing of the
    account changes but its password.

    Raises only Unavailable (`account.*`), with effect `unknown` where the target may have taken it, and what is named.
    """

    @property
    def place(self) -> str:
        """Which account at which server, so that two targets with one account are seen. Shows no secret."""
        ...

    async def set_to(self, new: str, *, known: Sequence[str], cuts: bool) -> None:
        """Log in with the first of these that the target takes, and have it take `new` and no other from now on; it
        survives a restart of the target when this returns. Where it takes `new` already, it is the same again. cuts:
        end every other session of this account, which somebody may have opened with the one before.

        Raises Refused (`account.refused`): the target takes none of them, or does not let the account change it.
        """
        ...

    async def takes(self, value: str) -> bool:
        """Whether the target lets the account in with it now."""
        ...
