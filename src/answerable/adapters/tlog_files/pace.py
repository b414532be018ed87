"""Decide whether syncs run in the event loop or in a thread, adapting to the disk's speed.

A sync in the loop costs no thread switch, but blocks every caller, so it is for disks faster than the switch. The
estimate is a running geometric mean: a single stall among fast syncs changes little, a disk that has become slow is
detected within some dozens of syncs, and one that hangs within a few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.adapters.tlog_files.settings import Commit

_WEIGHT: Final = 1 / 16
_SECONDS_MIN: Final = 1e-6
"""Least duration that a sync counts as, so that the mean of fast syncs stays above zero."""
_SLOWER: Final = 1.5
_FASTER: Final = 0.5


class Pace:
    """The choice for the next sync. inline: whether it runs in the event loop.

    commit: `inline` and `thread` are fixed; `auto` starts from a median of measured syncs, switches to the thread above
    1.5 times the limit, and back below half of it.
    """

    __slots__ = ("_estimate", "_faster", "_is_fixed", "_slower", "inline")

    def __init__(self, commit: Commit, *, median_seconds: float, limit_seconds: float) -> None:
        self._is_fixed = commit != "auto"
        self._estimate = max(median_seconds, _SECONDS_MIN)
        self._slower, self._faster = limit_seconds * _SLOWER, limit_seconds * _FASTER
        self.inline = commit == "inline" or (commit == "auto" and median_seconds <= limit_seconds)

    def took(self, seconds: float) -> None:
        """Record the duration of a write and its sync."""
        if self._is_fixed:
            return
        self._estimate *= (max(seconds, _SECONDS_MIN) / self._estimate) ** _WEIGHT
        if self.inline:
            self.inline = self._estimate <= self._slower
        else:
            self.inline = self._estimate < self._faster
