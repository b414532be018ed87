"""The members of leaves that the control statistics read."""

from __future__ import annotations

import msgspec


class ActionLeaf(msgspec.Struct):
    """The members read from an entry about an action. agents: of counted refusals."""

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
    """The members read from any other entry. how: of a policy change. source: of a hold. lifted_at: 0 while other
    people must sign too. name: of what was stopped. agent: whose instance ended. passed: of a drill. since, in_flight,
    in_flight_count: of a stop, and of the actions already running then."""

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
