"""Open what is recorded of the content of steps, one at a time, where there are keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.attribution.recorded_content import recorded_content
from answerable.core.ledger.opened import leaf_of, payload_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.attribution.content import Recorded
    from answerable.core.attribution.step import Step
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey

KEPT_MAX: Final = 256
"""Steps whose content is remembered: lines of one step mostly come together."""


class RecordedContents:
    """entry: reads one entry of the ledger. find: finds the key of an id. Nothing of it is stored."""

    def __init__(
        self, entry: Callable[[int], StoredEntry], find: Callable[[bytes], SubjectKey | None]
    ) -> None:
        self._entry, self._find = entry, find
        self._known: dict[tuple[int, int], Recorded] = {}

    def of(self, step: Step) -> Recorded:
        """Return what is recorded of the content of a step. Raises Broken, Unavailable as the ledger does."""
        place = (step.entry, step.outcome)
        known = self._known.get(place)
        if known is None:
            outcome = self._opened(step.outcome) if step.outcome >= 0 else None
            known = self._known[place] = recorded_content(self._opened(step.entry), outcome)
            if len(self._known) > KEPT_MAX:
                del self._known[next(iter(self._known))]
        return known

    def forget(self) -> None:
        """Let go of what was opened."""
        self._known.clear()

    def _opened(self, index: int) -> Mapping[str, JSONValue] | None:
        stored = self._entry(index)
        return payload_of(stored, leaf_of(stored), self._find)
