"""Which views of approvals by people this process has stored already."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

KNOWN_MAX: Final = 20_000
"""Views in memory, so that displaying a card again writes nothing."""


@dataclass(slots=True)
class ViewReceipts:
    """Stored views, by person and approval."""

    _known: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)

    def new(self, person: str, approvals: Iterable[str]) -> list[str]:
        """Return the approvals whose view is not stored yet as far as this process knows, and mark them as stored."""
        found = [one for one in approvals if (person, one) not in self._known]
        for one in found:
            self._known[person, one] = None
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return found

    def forget(self, person: str, approvals: Iterable[str]) -> None:
        """Unmark views that could not be stored."""
        for one in approvals:
            self._known.pop((person, one), None)
