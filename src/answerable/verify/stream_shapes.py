"""Define the ledger leaf about event streams."""

from __future__ import annotations

from typing import Literal

from answerable.verify.leaf_types import Leaf


class EventStreamLeaf(Leaf):
    """Tag 46. agent: the agent that the stream belongs to."""

    agent: str
    change: Literal["made", "configured", "status", "subject_added", "subject_removed", "removed"]
    method: Literal["push", "poll"]
    status: Literal["enabled", "paused", "disabled"]
    stream: str
