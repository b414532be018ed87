"""Port: what trackers have counted, kept beside a log so that a start need not read the whole log again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.decision.history import HistoryState, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHistory:
    """entries: by digest of the tracker, up to which entry all is in what was kept. places: as they were encoded."""

    entries: Mapping[str, int]
    places: Mapping[Place, bytes]


class HistoryRegister(Protocol):
    """Promises: what `keep` was given is on stable storage as a whole when it returns, or nothing of it. No record: the
    log is the record, and what is missing here is read from there. The numbers of an action being decided are never
    asked for here: they are in memory. Raises only Unavailable (`register.*`).
    """

    def keep(self, origin: str, state: HistoryState) -> None:
        """Keep for the log `origin` what changed, up to which entry, and nothing any more of trackers that are not
        there. One write."""
        ...

    def kept(self, origin: str) -> KeptHistory:
        """All that is kept for this log."""
        ...
