"""Since when people have a question before them: kept in the register that all processes share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from answerable.core.identity.principal import UnixMillis
from answerable.errors import Unavailable
from answerable.flows.end_instance import written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.approval.approval import Approval
    from answerable.flows.walk import Walk


async def note_looks(walk: Walk, person: str, approvals: Iterable[Approval]) -> None:
    """A person has these before them. Best effort: where it cannot be kept, their time begins when they are next shown
    it, or open it to answer."""
    now, looks = walk.clock.now(), walk.under_way.looks
    new = looks.new(person, [one.id for one in approvals if one.state_at(now) == "pending"])
    if not new:
        return
    try:
        await written(partial(walk.openings.look, new, person, now))
    except Unavailable:
        looks.forget(person, new)


def opened_at(walk: Walk, approval: Approval, person: str, given: UnixMillis, now: UnixMillis) -> UnixMillis:
    """When this person first had it before them, as far as it is known: by a page, or when they were given the nonce
    that they answer with. Never before it was asked or after now, whatever clocks did. Raises Unavailable."""
    seen = seen_at(walk, approval, person, now)
    return _between(approval, given if seen is None else min(seen, given), now)


def seen_at(walk: Walk, approval: Approval, person: str, now: UnixMillis) -> UnixMillis | None:
    """When a page first showed it to this person; None where none did, as far as is known. Raises Unavailable."""
    seen = walk.openings.looked(approval.id, person)
    return _between(approval, seen, now) if seen is not None else None


def _between(approval: Approval, at: UnixMillis, now: UnixMillis) -> UnixMillis:
    return UnixMillis(min(max(at, approval.created_at), now))
