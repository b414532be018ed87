"""Whether syncs are done in the event loop or in a thread, decided anew as the disk gets slower or faster.

In the loop a sync costs nobody a thread switch and everybody the wait; so it is for disks that take less than a switch
is worth. The estimate is a running geometric mean: a single stall among quick syncs changes little, a disk that has
become slow is noticed within some dozens of syncs, one that hangs within a few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.adapters.tlog_files.settings import Commit

_WEIGHT: Final = 1 / 16
_SECONDS_MIN: Final = 1e-6
"""What a sync counts at least, so that the mean of quick ones can still be multiplied up."""
_SLOWER: Final = 1.5
_FASTER: Final = 0.5


class Pace:
    """inline: whether the next sync is to be done in the event loop.

    commit: `inline` and `thread` are for good; `auto` starts from a median of measured syncs, goes to the thread above
    1.5 times the limit and comes back below half of it.
    """

    __slots__ = ("_estimate", "_faster", "_is_fixed", "_slower", "inline")

    def __init__(self, commit: Commit, *, median_seconds: float, limit_seconds: float) -> None:
        self._is_fixed = commit != "auto"
        self._estimate = max(median_seconds, _SECONDS_MIN)
        self._slower, self._faster = limit_seconds * _SLOWER, limit_seconds * _FASTER
        self.inline = commit == "inline" or (commit == "auto" and median_seconds <= limit_seconds)

    def took(self, seconds: float) -> None:
        """A write and its sync took so long."""
        if self._is_fixed:
            return
        self._estimate *= (max(seconds, _SECONDS_MIN) / self._estimate) ** _WEIGHT
        if self.inline:
            self.inline = self._estimate <= self._slower
        else:
            self.inline = self._estimate < self._faster
