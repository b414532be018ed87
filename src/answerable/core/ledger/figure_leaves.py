"""What is read of the leaves of entries when figures are counted."""

from __future__ import annotations

import msgspec


class ActionLeaf(msgspec.Struct):
    """What is read of the leaf of an entry about an action. agents: of counted refusals."""

    at: int
    agent: str = ""
    use_case: str = ""
    tier: int | None = None
    approval: str = ""
    expires: int = 0
    state: str = ""
    intent: int = -1
    status: str = ""
    agents: dict[str, int] = {}


class EventLeaf(msgspec.Struct):
    """What is read of the leaf of another entry. how: policies changed. source: of a hold. lifted_at: 0 for what other
    people are to sign as well. name: of what was stopped. agent: whose instance ended. passed: of a drill. since,
    in_flight, in_flight_count: of a stop, and of what it came too late for."""

    at: int
    how: object = ""
    source: object = ""
    lifted_at: int = -1
    name: str = ""
    agent: str = ""
    passed: bool = True
    since: int = 0
    in_flight: list[int] = []
    in_flight_count: int = 0
