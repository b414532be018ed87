"""One entry that a search found, opened and confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.incident.timeline import told

if TYPE_CHECKING:
    from answerable.core.incident.timeline import Line, Moment
    from answerable.core.search.facts import Ended, Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One entry that matches. moment: the entry, opened. ended: how the action ended; None where it did not, or the
    entry is about no action."""

    facts: Facts
    ended: Ended | None
    moment: Moment

    @property
    def line(self) -> Line:
        """Return the entry as a sentence."""
        return told(self.moment)

    @property
    def outcome(self) -> str:
        """Return how the action ended, as far as known; empty for an entry about no action."""
        return self.ended.outcome if self.ended is not None else self.facts.one("outcome")
