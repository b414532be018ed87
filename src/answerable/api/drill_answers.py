"""Drills of stops, revocations and traces."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from answerable.api.members import Component, Count, Digest, Instant, Part, Texts
from answerable.core.containment.drill import DrilledKind, DrillKind


class DrillRequest(Component, frozen=True, kw_only=True):
    """What to try out. Without kind, whatever alone has the name."""

    drill: DrillKind
    name: str
    kind: DrilledKind | UnsetType = UNSET


class DrillTime(Part, frozen=True, kw_only=True):
    """How long one thing took."""

    what: str
    ms: Count


class Drill(Component, frozen=True, kw_only=True):
    """What came of a drill."""

    id: str
    drill: DrillKind
    kind: DrilledKind
    name: str
    definition: Digest
    shadow: str
    at: Instant
    by: str
    passed: bool
    faults: Texts
    actions: Count
    took: tuple[DrillTime, ...]
