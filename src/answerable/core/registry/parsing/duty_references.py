"""Check what duties refer to, people and groups, and list findings about uncovered times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.documents.documents import Principal
from answerable.core.registry.documents.duty import DUTIES_MAX, Duty
from answerable.core.registry.documents.fields import near
from answerable.core.registry.documents.on_call import cover_gaps, gap_text
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.registry.parsing.parse import Shapes

LOOK_AHEAD_DAYS: Final = 28
GAPS_TOLD_MAX: Final = 3


def duty_faults(duty: Duty, shapes: Shapes) -> Iterator[tuple[str, str, str]]:
    """Yield path, code and message of each fault. A person on call outside the group is no fault: a rota must not
    prevent removing a person from a group."""
    people = tuple(sorted(name for kind, name in shapes.declared if kind == "Principal"))
    for index, shift in enumerate(duty.shifts):
        for place, name in enumerate(shift.people):
            if name not in people:
                message = f"no Principal is called {shown(name)}{near(name, people)}"
                yield f"/spec/shifts/{index}/people/{place}", "reference.missing", message
    groups = _groups(shapes)
    unread = len(people) > sum(isinstance(found.noun, Principal) for found in shapes.nouns)
    named = [("/spec/group", duty.group)]
    named += [(f"/spec/escalation/{at}/group", one.group) for at, one in enumerate(duty.steps) if one.group]
    named += [(f"/spec/deputies/{at}", one) for at, one in enumerate(duty.deputies)]
    for path, group in named:
        if group not in groups and not unread:
            message = f"no principal is in group {shown(group)}{near(group, tuple(sorted(groups)))}"
            yield path, "reference.missing", message
    duties = [found.noun for found in shapes.nouns if isinstance(found.noun, Duty)]
    first = next(one for one in duties if one.group == duty.group)
    if first.name != duty.name:
        message = f"group {shown(duty.group)} has a duty already, {shown(first.name)}: a group has one"
        yield "/spec/group", "duty.group", message
    if duty.name in [one.name for one in duties[DUTIES_MAX:]]:
        yield "", "document.count", f"expected at most {DUTIES_MAX} duties, got {len(duties)}"


def duty_notes(duty: Duty, shapes: Shapes, today: str) -> Iterator[tuple[str, str]]:
    """Yield code and message of each finding that blocks nothing: people on call outside the group, and uncovered
    times."""
    members = active_members(shapes, duty.group)
    strangers = dict.fromkeys(who for shift in duty.shifts for who in shift.people if who not in members)
    if strangers:
        listed = ", ".join(map(shown, strangers))
        yield (
            "duty.stranger",
            f"names {listed}, who are not active members of {shown(duty.group)}: they are not asked",
        )
    since = UnixMillis(round(datetime.fromisoformat(today).replace(tzinfo=UTC).timestamp() * 1000))
    gaps = cover_gaps(duty, members, since=since, days=LOOK_AHEAD_DAYS)
    if gaps:
        told = "; ".join(gap_text(duty, one) for one in gaps[:GAPS_TOLD_MAX])
        more = f"; and {len(gaps) - GAPS_TOLD_MAX} more times" if len(gaps) > GAPS_TOLD_MAX else ""
        yield (
            "duty.gap",
            f"has nobody of {shown(duty.group)} on call {told}{more}: the whole group is asked then",
        )
    if any(one.asks == "second" for one in duty.steps) and all(one.line == "first" for one in duty.shifts):
        yield "duty.no_second", "asks the second line, and no shift is of it: the whole group is asked then"


def active_members(shapes: Shapes, group: str) -> frozenset[PrincipalId]:
    """Return the active members of the group."""
    return frozenset(
        found.noun.name
        for found in shapes.nouns
        if isinstance(found.noun, Principal) and found.noun.status == "active" and group in found.noun.groups
    )


def _groups(shapes: Shapes) -> frozenset[str]:
    return frozenset(
        group for found in shapes.nouns if isinstance(found.noun, Principal) for group in found.noun.groups
    )
