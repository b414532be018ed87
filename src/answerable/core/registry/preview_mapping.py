"""Which capability shows, before an action, what the action would do, and what it is asked with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.registry.pointing import value_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewMapping:
    """capability: a tool of the same server that only reads. arguments: what that tool takes, by name, each with where
    it lies in what the action takes, a member's name or a JSON pointer; None where it takes the very same."""

    capability: str
    arguments: tuple[tuple[str, str], ...] | None = None

    def asked_with(self, arguments: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
        """What the tool is asked with. What the action leaves out is left out. Never raises."""
        if self.arguments is None:
            return dict(arguments)
        found: dict[str, JSONValue] = {}
        for name, place in self.arguments:
            value = value_at(dict(arguments), place) if place.startswith("/") else arguments.get(place)
            if value is not None:
                found[name] = value
        return found
