"""Log in as the broker's own account while its password is rotated."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from answerable.errors.codes.leases import ACCOUNT_REFUSED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

Session = TypeVar("Session")


async def let_in(
    place: str, known: Iterable[str], opened: Callable[[str], Awaitable[Session | None]]
) -> Session:
    """Return a session under the first password that the target accepts. place: of the account. opened: logs in; None
    where the target refuses the password. Raises Refused (`account.refused`), and as `opened`."""
    for value in known:
        session = await opened(value)
        if session is not None:
            return session
    raise ACCOUNT_REFUSED(
        f"{place} accepts none of the stored passwords: set one there, then store it "
        "with `answerable secret rotate`"
    )
