"""Port: the wall clock and the monotonic clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis


class Clock(Protocol):
    """Promises: `now` is wall time in Unix milliseconds and may jump; `monotonic` is seconds and never goes back.

    Never blocks, never fails.
    """

    def now(self) -> UnixMillis:
        """Return wall time in Unix milliseconds."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary start, never decreasing."""
        ...
