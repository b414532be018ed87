"""Which looks of people at questions this process has kept already."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

KNOWN_MAX: Final = 20_000
"""Of those that were kept, remembered in this process, so that showing a card again writes nothing."""


@dataclass(slots=True)
class ViewReceipts:
    """By person and approval."""

    _known: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)

    def new(self, person: str, approvals: Iterable[str]) -> list[str]:
        """Those that are not kept yet, as far as this process knows; now they are."""
        found = [one for one in approvals if (person, one) not in self._known]
        for one in found:
            self._known[person, one] = None
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return found

    def forget(self, person: str, approvals: Iterable[str]) -> None:
        """They could not be kept after all."""
        for one in approvals:
            self._known.pop((person, one), None)
