"""What trackers have counted, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.decision.tally import encoded
from answerable.ports.history_register import KeptHistory

if TYPE_CHECKING:
    from answerable.core.decision.history import HistoryState


class MemoryHistoryRegister:
    """Port HistoryRegister."""

    def __init__(self) -> None:
        self._kept: dict[str, KeptHistory] = {}

    def keep(self, origin: str, state: HistoryState) -> None:
        """As the port says."""
        places = {
            place: kept for place, kept in self.kept(origin).places.items() if place[0] not in state.fresh
        }
        for place, cell in state.places.items():
            if cell is None:
                places.pop(place, None)
            else:
                places[place] = encoded(cell)
        self._kept[origin] = KeptHistory(
            entries=dict.fromkeys(sorted(state.trackers), state.entries),
            places={place: kept for place, kept in places.items() if place[0] in state.trackers},
        )

    def kept(self, origin: str) -> KeptHistory:
        """As the port says."""
        return self._kept.get(origin, KeptHistory(entries={}, places={}))
