"""Read a range of entries for as long as one answer may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.core.ledger.entry import StoredEntry
    from answerable.ports.stored_log import LogSnapshot


def read_within(
    log: LogSnapshot, start: int, stop: int, *, seconds: float, monotonic: Callable[[], float]
) -> Iterator[StoredEntry]:
    """Yield the entries of a range, until the time is over; at least one. Raises as the log does."""
    if start >= stop:
        return
    ends_at = monotonic() + seconds
    for stored in log.replay(start):
        yield stored
        if stored.index + 1 >= stop or monotonic() >= ends_at:
            return
