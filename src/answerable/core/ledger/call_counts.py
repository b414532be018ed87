"""How many intents the log holds for each mandate, counted in the order in which they get their places.

Laws: a count covers all intents below one entry and none above; it is given out only once the log has all of those on
stable storage, so what is kept of it is never ahead of the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.ledger.entry import Receipt
    from answerable.core.mandate.mandate import MandateId

UNKEPT_ENTRIES_MAX: Final = 65_536
"""After so many entries a count is kept although no intent was among them, so that no start reads them again."""


@dataclass(slots=True, kw_only=True)
class CallCounts:
    """calls: intents in the log, by mandate. entries: all intents below this index are counted, none above."""

    calls: dict[MandateId, int] = field(default_factory=dict)
    entries: int = 0
    _changed: set[MandateId] = field(default_factory=set)
    _waiting: tuple[dict[MandateId, int], int] | None = None
    _kept_to: int = 0

    def restored(self, kept: Mapping[MandateId, int], started: Iterable[MandateId], entries: int) -> None:
        """At a start: what was kept, the mandates of the intents after that, and how many entries the log has."""
        self.calls = dict(kept)
        for mandate in started:
            self.calls[mandate] = self.calls.get(mandate, 0) + 1
            # Counted from the log this time; the next count that is kept must have them, for it goes further.
            self._changed.add(mandate)
        self.entries = entries

    def started(self, mandate: MandateId, receipt: Receipt) -> None:
        """An intent has its place in the log. Called in the order of the places."""
        self.calls[mandate] = self.calls.get(mandate, 0) + 1
        self._changed.add(mandate)
        self.entries = receipt.index + 1

    def due(self, durable: int) -> tuple[dict[MandateId, int], int] | None:
        """What may be kept now that the log has `durable` entries on stable storage, and up to where."""
        # An intent is counted as it gets its place: of what is durable none is left to count.
        self.entries = max(self.entries, durable)
        is_far = self.entries - self._kept_to >= UNKEPT_ENTRIES_MAX
        if self._waiting is None and (self._changed or is_far):
            self._waiting = {one: self.calls[one] for one in self._changed}, self.entries
            self._changed = set()
        return self._waiting if self._waiting is not None and self._waiting[1] <= durable else None

    def kept(self) -> None:
        """What was due is on stable storage."""
        if self._waiting is not None:
            self._kept_to = self._waiting[1]
        self._waiting = None
