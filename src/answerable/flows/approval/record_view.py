"""Record when each person first had an approval open, in the register that all processes share.

Law: the view of a list line counts for an answer to the list, which covers those lines, and for no answer to a card
alone.
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
    from answerable.flows.state.parts import AskingState
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.ports.clock import Clock


async def note_looks(
    asking: AskingState, clock: Clock, person: str, approvals: Iterable[Approval], *, lines: bool = False
) -> None:
    """Record that a person views the cards of these approvals; with lines, one list line of each. Best effort: if
    storing fails, their time begins at the next view, or when they open the approval to answer."""
    now, looks = clock.now(), asking.under_way.looks
    pending = [one for one in approvals if one.state_at(now) == "pending"]
    new = looks.new(person, [_line_of(one) if lines else one.id for one in pending])
    if not new:
        return
    try:
        await written(partial(asking.openings.look, new, person, now))
    except Unavailable:
        looks.forget(person, new)


def opened_at(
    openings: OpeningRegister,
    approval: Approval,
    person: str,
    given: UnixMillis,
    now: UnixMillis,
    *,
    listed: bool = False,
) -> UnixMillis:
    """Return when this person first had the approval open, as far as known: on a page, or when they got the nonce that
    they answer with. given: when they got it. listed: they answer a list, so that a view of the list line counts, too.
    The result is never before the approval was created or after now, even if clocks differ. Raises Unavailable."""
    found = [openings.looked(approval.id, person)]
    if listed:
        found.append(openings.looked(_line_of(approval), person))
    return _between(approval, min([given, *(one for one in found if one is not None)]), now)


def seen_at(openings: OpeningRegister, approval: Approval, person: str, now: UnixMillis) -> UnixMillis | None:
    """Return when a page first displayed it to this person; None where none is known. Raises Unavailable."""
    seen = openings.looked(approval.id, person)
    return _between(approval, seen, now) if seen is not None else None


def _line_of(approval: Approval) -> str:
    """Return the key under which a view of its list line is stored. It contains a space, so it cannot equal an approval
    id."""
    return f"line {approval.id}"


def _between(approval: Approval, at: UnixMillis, now: UnixMillis) -> UnixMillis:
    return UnixMillis(min(max(at, approval.created_at), now))
