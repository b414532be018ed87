"""How often people have typed the name of a critical action wrong; in this process, so that a restart begins anew."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.identity.principal import UnixMillis

TRIES_MAX: Final = 5
"""That a person gets wrong for one approval within `TRIES_MILLIS`; nobody else's count, and a no needs none."""
TRIES_MILLIS: Final = 60_000
KEPT_MAX: Final = 10_000
"""Of people and approvals, in mind; past it the oldest begins anew."""


@dataclass(slots=True)
class TypedTries:
    """How often, and since when, by person and approval."""

    _wrong: OrderedDict[tuple[str, str], tuple[UnixMillis, int]] = field(default_factory=OrderedDict)

    def count(self, person: str, approval: str, now: UnixMillis) -> int:
        """Wrong ones of the last minute."""
        since, count = self._wrong.get((person, approval), (now, 0))
        return count if now - since < TRIES_MILLIS else 0

    def wrong(self, person: str, approval: str, now: UnixMillis) -> None:
        """One more."""
        count = self.count(person, approval, now)
        since = self._wrong[(person, approval)][0] if count else now
        self._wrong[(person, approval)] = (since, count + 1)
        if len(self._wrong) > KEPT_MAX:
            self._wrong.popitem(last=False)
