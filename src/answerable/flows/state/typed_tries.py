"""How often people have typed the name of a critical action wrong; in this process, so that a restart begins anew.

The name is on the card, so this keeps no secret: it makes whoever guesses read. So that nobody who stole a session
keeps its person from answering elsewhere, each session counts apart, and key files count apart from all of them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis

TRIES_MAX: Final = 5
"""That a person gets wrong for one approval in one session within `TRIES_MILLIS`; nobody else's count, and a no needs
none."""
TRIES_MILLIS: Final = 60_000
KEPT_MAX: Final = 10_000
"""Of people and approvals, in mind; past it the oldest begins anew."""


@dataclass(slots=True)
class TypedTries:
    """How often, and since when, by person, session and approval."""

    _wrong: OrderedDict[tuple[str, str, str], tuple[UnixMillis, int]] = field(default_factory=OrderedDict)

    def count(self, person: str, session: str, approval: str, now: UnixMillis) -> int:
        """Wrong ones of the last minute."""
        since, count = self._wrong.get((person, session, approval), (now, 0))
        return count if now - since < TRIES_MILLIS else 0

    def wrong(self, person: str, session: str, approval: str, now: UnixMillis) -> None:
        """One more."""
        key = (person, session, approval)
        count = self.count(person, session, approval, now)
        since = self._wrong[key][0] if count else now
        self._wrong[key] = (since, count + 1)
        if len(self._wrong) > KEPT_MAX:
            self._wrong.popitem(last=False)
