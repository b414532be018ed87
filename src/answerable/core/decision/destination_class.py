"""Classify the destinations of an action, and find the least trusted class.

Laws: classes are trusted in the order in which they are declared; a destination in no class is unknown, the least
trusted; a sending action that states no destination sends to the unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.destination import wider_names
from answerable.core.registry.documents.policy_parts import CLASSES_MAX, NO_CLASS, UNKNOWN_CLASS

if TYPE_CHECKING:
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.policy_parts import DestinationClass

SENDING_KINDS: Final = frozenset({"communicate", "egress"})
"""Kinds of action that send, whether their capability states a destination or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classed:
    """The classes of an action's destinations. worst: the least trusted class. classes: all classes, by name, each
    once."""

    worst: str
    classes: tuple[str, ...]


def classed(
    declared: tuple[DestinationClass, ...], capability: Capability, destinations: tuple[str, ...]
) -> Classed:
    """Return the classes of an action's destinations. destinations: in canonical spelling."""
    return classed_as(
        declared, action=capability.kind, kind=capability.destination.type, destinations=destinations
    )


def classed_as(
    declared: tuple[DestinationClass, ...],
    *,
    action: str,
    kind: str,
    destinations: tuple[str, ...],
) -> Classed:
    """Return the classes. action: its kind. kind: of destinations, empty for an action that states no destination."""
    if not kind:
        name = UNKNOWN_CLASS if action in SENDING_KINDS else NO_CLASS
        return Classed(worst=name, classes=(name,))
    held = [(rank, _held(one.members)) for rank, one in enumerate(declared) if one.type == kind]
    ranks: dict[int, str] = {}
    for destination in destinations:
        names = tuple(wider_names(kind, destination))
        rank = next((rank for rank, members in held if not members.isdisjoint(names)), len(declared))
        ranks[rank] = declared[rank].name if rank < len(declared) else UNKNOWN_CLASS
    if not ranks:
        return Classed(worst=UNKNOWN_CLASS, classes=(UNKNOWN_CLASS,))
    return Classed(worst=ranks[max(ranks)], classes=tuple(sorted(set(ranks.values()))))


@lru_cache(maxsize=CLASSES_MAX)
def _held(members: tuple[str, ...]) -> frozenset[str]:
    """Return the members as a cached set: an agent may name many destinations, and classes are long."""
    return frozenset(members)
