"""Since when people have a question before them: kept in the register that all processes share.

Law: a line of a list counts for an answer to the list, which is over those lines, and for no answer to a card alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Unavailable
from answerable.flows.revocation.end_instance import written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.approval.approval import Approval
    from answerable.flows.state.walk import Walk


async def note_looks(walk: Walk, person: str, approvals: Iterable[Approval], *, lines: bool = False) -> None:
    """A person has the cards of these before them; lines: a line of each. Best effort: where it cannot be kept, their
    time begins when they are next shown it, or open it to answer."""
    now, looks = walk.clock.now(), walk.under_way.looks
    pending = [one for one in approvals if one.state_at(now) == "pending"]
    new = looks.new(person, [_line_of(one) if lines else one.id for one in pending])
    if not new:
        return
    try:
        await written(partial(walk.openings.look, new, person, now))
    except Unavailable:
        looks.forget(person, new)


def opened_at(
    walk: Walk, approval: Approval, person: str, given: UnixMillis, now: UnixMillis, *, listed: bool = False
) -> UnixMillis:
    """When this person first had it before them, as far as it is known: by a page, or when they were given the nonce
    that they answer with. listed: they answer a list, so that its line counts, too. Never before it was asked or after
    now, whatever clocks did. Raises Unavailable."""
    found = [walk.openings.looked(approval.id, person)]
    if listed:
        found.append(walk.openings.looked(_line_of(approval), person))
    return _between(approval, min([given, *(one for one in found if one is not None)]), now)


def seen_at(walk: Walk, approval: Approval, person: str, now: UnixMillis) -> UnixMillis | None:
    """When a page first showed it to this person; None where none did, as far as is known. Raises Unavailable."""
    seen = walk.openings.looked(approval.id, person)
    return _between(approval, seen, now) if seen is not None else None


def _line_of(approval: Approval) -> str:
    """What a look at its line is kept under: no id of an approval, for those have no blanks."""
    return f"line {approval.id}"


def _between(approval: Approval, at: UnixMillis, now: UnixMillis) -> UnixMillis:
    return UnixMillis(min(max(at, approval.created_at), now))
