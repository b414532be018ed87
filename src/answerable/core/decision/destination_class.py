"""Under which names an action's destinations are known, and the least trusted of them.

Laws: classes are trusted in the order in which they are declared; what no class names is unknown, the least trusted;
an action that sends and does not say where sends to the unknown.
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
"""Kinds of action that send, whether their capability says where or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classed:
    """worst: the least trusted class of all. classes: all of them, by name, each once."""

    worst: str
    classes: tuple[str, ...]


def classed(
    declared: tuple[DestinationClass, ...], capability: Capability, destinations: tuple[str, ...]
) -> Classed:
    """The classes of what an action sends to. destinations: in their one spelling."""
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
    """The same. action: its kind. kind: of destinations, empty for an action that does not say where it sends to."""
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
    """To look into: an agent names as many destinations as it likes, and classes are long."""
    return frozenset(members)
