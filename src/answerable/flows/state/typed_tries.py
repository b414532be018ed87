"""Limit how often a person mistypes the name of a critical action. In memory, so that a restart begins anew.

The name is on the card, so the limit protects no secret: it makes a guessing person read. Each session counts
separately, and key files count separately from sessions, so that a stolen session cannot stop its person from answering
elsewhere.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis

TRIES_MAX: Final = 5
"""Wrong names per person, session and approval within `TRIES_MILLIS`; a denial needs no name."""
TRIES_MILLIS: Final = 60_000
KEPT_MAX: Final = 10_000
"""Counters in memory; when full, the oldest is dropped."""


@dataclass(slots=True)
class TypedTries:
    """Wrong tries and the time of the first, by person, session and approval."""

    _wrong: OrderedDict[tuple[str, str, str], tuple[UnixMillis, int]] = field(default_factory=OrderedDict)

    def count(self, person: str, session: str, approval: str, now: UnixMillis) -> int:
        """Return the number of wrong tries in the last minute."""
        since, count = self._wrong.get((person, session, approval), (now, 0))
        return count if now - since < TRIES_MILLIS else 0

    def wrong(self, person: str, session: str, approval: str, now: UnixMillis) -> None:
        """Count one wrong try."""
        key = (person, session, approval)
        count = self.count(person, session, approval, now)
        since = self._wrong[key][0] if count else now
        self._wrong[key] = (since, count + 1)
        if len(self._wrong) > KEPT_MAX:
            self._wrong.popitem(last=False)
