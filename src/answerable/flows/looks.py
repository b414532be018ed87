"""Since when people have had an approval before them; in this process, so that a restart begins anew."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.identity.principal import UnixMillis

LOOKS_MAX: Final = 20_000
"""Kept in mind; past it the oldest is forgotten, and begins anew."""


@dataclass(slots=True)
class Looks:
    """Since when a person has had an approval before them, in this process."""

    _since: OrderedDict[tuple[str, str], UnixMillis] = field(default_factory=OrderedDict)

    def saw(self, person: str, approval: str, now: UnixMillis) -> None:
        """It is shown to them now; the first time counts."""
        self._since.setdefault((person, approval), now)
        if len(self._since) > LOOKS_MAX:
            self._since.popitem(last=False)

    def since(self, person: str, approval: str, otherwise: UnixMillis) -> UnixMillis:
        """When it was first shown to them; the other time, if that is earlier or it never was."""
        return min(self._since.get((person, approval), otherwise), otherwise)
