"""Where statements stand, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.ledger.leaves import Reference
    from answerable.ports.citation_register import Cited


class MemoryCitationRegister:
    """Port CitationRegister."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, Cited], Reference] = {}
        self._kept: dict[str, int] = {}

    def find(self, origin: str, name: Cited) -> Reference | None:
        """As the port says."""
        return self._places.get((origin, name))

    def keep(self, origin: str, places: Mapping[Cited, Reference], entries: int) -> None:
        """As the port says."""
        self._places.update({(origin, name): place for name, place in places.items()})
        self._kept[origin] = entries

    def kept_to(self, origin: str) -> int:
        """As the port says."""
        return self._kept.get(origin, 0)
