"""Decisions asked again, and possible ones."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from answerable.api.members import AnyObject, Component, Count, Instant


class Replayed(Component, frozen=True, kw_only=True):
    """Decisions that were derived again. next: entry to go on with; None at the end."""

    counts: dict[str, Count]
    next: Count | None
    reading: bool
    size: Count
    told: tuple[Annotated[AnyObject, Meta(description="a decision that is not as it was recorded")], ...]


class Possible(Component, frozen=True, kw_only=True):
    """What agents could do at a time."""

    at: Instant
    registry: str
    withheld: Count
    unfollowed: Count
    is_offered: bool
    agents: tuple[Annotated[AnyObject, Meta(description="an agent, and what it could do")], ...]
