"""Port: the counts of trackers, stored beside a log so that a start need not read the whole log again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.decision.history import HistoryState, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHistory:
    """Stored counts of one log. entries: by digest of the tracker, the number of entries already counted. places: the
    encoded counts by place."""

    entries: Mapping[str, int]
    places: Mapping[Place, bytes]


class HistoryRegister(Protocol):
    """Promises: what `keep` stored is on stable storage as a whole when it returns, or not at all. A cache, not a
    record: the log is authoritative, and missing counts are computed from the log. Deciding an action never reads this
    register: its numbers are in memory. Raises only Unavailable (`register.*`)."""

    def keep(self, origin: str, state: HistoryState) -> None:
        """Store for the log `origin` the changed counts and up to which entry they go, and remove trackers that no
        longer exist. One write."""
        ...

    def kept(self, origin: str) -> KeptHistory:
        """Return everything stored for this log."""
        ...
