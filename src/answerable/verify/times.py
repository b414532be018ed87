"""Check the times of entries: the writer's clock is only a claim, but the times of cosignatures bound it.

Laws:
- an entry below a cosigned size existed when it was cosigned: its time is not after the cosignature;
- an entry at or above a cosigned size came after the cosigned checkpoint: its time is not before the cosignature,
  except for the time that the cosigning took.

Both allow for a stated clock skew. So an entry can be back-dated no further than to the cosignature before it.
"""

from __future__ import annotations

from operator import le
from typing import TYPE_CHECKING

from answerable.verify.leaf_rules import Fault
from answerable.verify.report import Finding, instant

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Sequence

    from answerable.verify.entry_range import EntryRange
    from answerable.verify.log_signatures import Witnessed

_NEVER: int = 2**63


class Times:
    """Follows the times of a log in order. witnessed: by size."""

    def __init__(self, witnessed: Sequence[Witnessed], *, step_back_ms: int, skew_ms: int) -> None:
        timed = [one for one in witnessed if one.by]
        self._sizes = [one.checkpoint.size for one in timed]
        self._earliest = [one.earliest for one in timed]
        # An entry below a smaller size is also covered by every later cosignature, so the earliest of these bounds it.
        self._by = [one.by for one in timed]
        for at in range(len(self._by) - 2, -1, -1):
            self._by[at] = min(self._by[at], self._by[at + 1])
        self._step_back_ms, self._skew_ms = step_back_ms, skew_ms
        self._passed = 0
        self._not_before = 0
        self._latest = 0
        # The present step back: its first entry, how far it went, and how many entries are dated before the latest one.
        self._stepped_at = self._stepped_ms = self._behind = 0

    def faults(self, entry_range: EntryRange) -> Iterator[Finding]:
        """Yield the faults in the times of the next range."""
        yield from self._steps_back(entry_range)
        ats, at = entry_range.ats, entry_range.first
        while at < entry_range.stop:
            while self._passed < len(self._sizes) and self._sizes[self._passed] <= at:
                self._not_before = max(self._not_before, self._earliest[self._passed])
                self._passed += 1
            more = self._passed < len(self._sizes)
            stop = min(entry_range.stop, self._sizes[self._passed]) if more else entry_range.stop
            yield from self._outside(
                entry_range,
                ats[at - entry_range.first : stop - entry_range.first],
                at,
                self._not_before - self._skew_ms,
                self._by[self._passed] + self._skew_ms if more else _NEVER,
            )
            at = stop

    def _outside(
        self, entry_range: EntryRange, ats: array[int], first: int, low: int, high: int
    ) -> Iterator[Finding]:
        if min(ats) >= low and max(ats) <= high:
            return
        for index, at in enumerate(ats, first):
            if at < low:
                text = f"it says {instant(at)}, and entries before it were cosigned at {instant(self._not_before)}"
                yield entry_range.fault_at(index, Fault("time.back_dated", text))
            elif at > high:
                by = instant(high - self._skew_ms)
                text = f"it says {instant(at)}, and was cosigned by {by}"
                yield entry_range.fault_at(index, Fault("time.ahead", text))

    def rest(self) -> Iterator[Finding]:
        """Yield the step back that lasts to the end of the log, and is reported once all of its entries are counted."""
        if self._behind:
            more = f", and {self._behind} entries are dated so" if self._behind > 1 else ""
            message = f"the clock stepped back by {self._stepped_ms} ms{more}"
            yield Finding(rule="clock.back", severity="warning", message=message, index=self._stepped_at)
        self._behind = self._stepped_ms = 0

    def _steps_back(self, entry_range: EntryRange) -> Iterator[Finding]:
        """Yield each step back that ended in this range, at its first entry."""
        ats, latest = entry_range.ats, self._latest
        if not ats:
            return
        if ats[0] < latest - self._step_back_ms or not all(map(le, ats, ats[1:])):
            for index, at in enumerate(ats, entry_range.first):
                if at < latest - self._step_back_ms:
                    self._stepped_at = self._stepped_at if self._behind else index
                    self._stepped_ms = max(self._stepped_ms, latest - at)
                    self._behind += 1
                else:
                    yield from self.rest()
                latest = max(latest, at)
        else:
            yield from self.rest()
        self._latest = max(latest, ats[-1])
