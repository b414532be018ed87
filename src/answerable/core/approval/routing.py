"""Decide whom to notify of a pending approval and when to escalate, by the duties of the groups that policy asks.

Laws: routing only notifies, and never lets anybody answer who may not; where a duty names nobody, or fewer than policy
requires, the whole group is notified; a step notifies once; setting the clock back undoes nothing; a person who cannot
approve (their own task or agent) does not count as notified, except in a group that has nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.documents.on_call import on_call, quiet_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from answerable.core.decision.facts import Requirement
    from answerable.core.registry.documents.duty import Duty, EscalationStep, Line

FIRST: Final = 0
"""Number of the step of the first notification; the steps of the duty follow from 1 on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What routing needs to know of an approval. barred: people who cannot approve. answered: people who have answered.

    owner: of the capability, empty for none. seen: whether somebody who may answer has opened it. told: group and
    number of the steps already sent.
    """

    requirements: tuple[Requirement, ...]
    tier: int
    created_at: UnixMillis
    owner: str = ""
    barred: frozenset[str] = frozenset()
    answered: frozenset[str] = frozenset()
    seen: bool = False
    told: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """Who is in which group now. members: by group, those who could answer, including deputies. in_place_of: the
    deputy, by group and person. duties: by group. on_call queries the calendar once for each moment."""

    members: Mapping[str, Sequence[PrincipalId]]
    duties: Mapping[str, Duty]
    in_place_of: Mapping[tuple[str, PrincipalId], PrincipalId] = field(
        default_factory=lambda: MappingProxyType({})
    )
    _asked: dict[tuple[str, Line, UnixMillis], tuple[PrincipalId, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def on_call(self, group: str, now: UnixMillis, line: Line = "first") -> tuple[PrincipalId, ...]:
        """Return who of a group is on call by its duty; empty where it has none. The calendar is queried once for a
        moment."""
        found = self._asked.get((group, line, now))
        if found is None:
            duty = self.duties.get(group)
            found = on_call(duty, now, line) if duty is not None else ()
            self._asked[group, line, now] = found
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A step that is due: whom it notifies. why: in words, where it deviates from the duty; else empty."""

    group: str
    step: int
    people: tuple[PrincipalId, ...]
    asks: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The notifications that are due. due: steps to send now, in order. next_at: when to check again, Unix
    milliseconds; None for never."""

    due: tuple[Told, ...]
    next_at: UnixMillis | None


def who_is_asked(question: Question, staff: Staff, now: UnixMillis) -> Routing:
    """Return the steps that are due and not sent, and when the next ones are due. A pure function."""
    due: list[Told] = []
    later: list[UnixMillis] = []
    groups = (group for one in question.requirements for group in _asked_at_once(one, staff))
    for group in dict.fromkeys(groups):
        quiet = _quiet(staff, group, question.tier, now)
        if quiet is not None:
            later.append(quiet)
            continue
        for step, at in _steps_left(question, staff, group):
            if at > now:
                later.append(at)
            else:
                due.append(_told(question, staff, group, step, now))
    return Routing(due=tuple(due), next_at=min(later, default=None))


def turns(question: Question, staff: Staff, now: UnixMillis) -> Routing:
    """Return like `who_is_asked`, with all steps up to now as due, sent or not: whose turn it is."""
    return who_is_asked(replace(question, told=frozenset()), staff, now)


def _asked_at_once(requirement: Requirement, staff: Staff) -> tuple[str, ...]:
    """Return the groups of a requirement, except those to which the duty of an earlier one escalates later."""
    kept: list[str] = []
    for group in requirement.groups:
        duties = [staff.duties[one] for one in kept if one in staff.duties]
        if not any(step.group == group for duty in duties for step in duty.steps):
            kept.append(group)
    return tuple(kept)


def _quiet(staff: Staff, group: str, tier: int, now: UnixMillis) -> UnixMillis | None:
    duty = staff.duties.get(group)
    return quiet_until(duty, tier, now) if duty is not None else None


def _steps_left(question: Question, staff: Staff, group: str) -> Iterator[tuple[int, UnixMillis]]:
    """Yield the steps not sent, with the time of each. A step for the unseen case is dropped once somebody has opened
    the approval."""
    duty = staff.duties.get(group)
    begins = question.created_at
    if duty is not None:
        begins = quiet_until(duty, question.tier, begins) or begins
    if (group, FIRST) not in question.told:
        yield FIRST, begins
    for number, step in enumerate(duty.steps if duty is not None else (), start=1):
        if (group, number) not in question.told and not (step.when == "unseen" and question.seen):
            yield number, UnixMillis(begins + step.after_seconds * 1000)


def _told(question: Question, staff: Staff, group: str, number: int, now: UnixMillis) -> Told:
    duty = staff.duties.get(group)
    if duty is None:
        return _whole(question, staff, group, number, asks="group", why="")
    if number != FIRST:
        return _escalated(question, staff, duty, number, now)
    count = max(one.count for one in question.requirements if group in one.groups)
    people = _present(question, staff, group, staff.on_call(group, now))
    if len(people) < count:
        # One person alone cannot meet the requirement, so the second line is notified too.
        second = _present(question, staff, group, staff.on_call(group, now, "second"))
        people = tuple(dict.fromkeys((*people, *second)))
    if len(people) >= count:
        return Told(group=group, step=number, people=people, asks="first")
    why = "nobody is on call" if not people else f"fewer than {count} are on call"
    return _whole(question, staff, group, number, asks="first", why=why)


def _escalated(question: Question, staff: Staff, duty: Duty, number: int, now: UnixMillis) -> Told:
    step: EscalationStep = duty.steps[number - 1]
    group = duty.group
    people: tuple[PrincipalId, ...] = ()
    why = ""
    if step.asks == "second":
        people = _present(question, staff, group, staff.on_call(group, now, "second"))
        why = "nobody is on call in the second line"
    elif step.asks == "owner":
        people = (PrincipalId(question.owner),) if question.owner else ()
        why = "nobody owns the capability"
    elif step.asks == "other":
        people, why = _of_other(question, staff, group, step.group, now)
    if people:
        return Told(group=group, step=number, people=people, asks=step.group or step.asks)
    return _whole(question, staff, group, number, asks=step.group or step.asks, why=why)


def _of_other(
    question: Question, staff: Staff, group: str, other: str, now: UnixMillis
) -> tuple[tuple[PrincipalId, ...], str]:
    """Return whom a step to another group notifies, or why nobody: only a group that policy names beside this one may
    answer."""
    if not any({group, other} <= set(one.groups) for one in question.requirements):
        return (), f"policy does not ask {other} for this"
    first = staff.on_call(other, now)
    people = _present(question, staff, other, first) or _there(question, staff, other)
    return people, f"nobody of {other} is there"


def _whole(question: Question, staff: Staff, group: str, number: int, *, asks: str, why: str) -> Told:
    return Told(group=group, step=number, people=_there(question, staff, group), asks=asks, why=why)


def _present(
    question: Question, staff: Staff, group: str, people: Sequence[PrincipalId]
) -> tuple[PrincipalId, ...]:
    """Return those of these people who are members, can approve and have not answered; for an absent person, their
    deputy."""
    here = [staff.in_place_of.get((group, one), one) for one in people]
    members, gone = staff.members.get(group, ()), question.barred | question.answered
    return tuple(dict.fromkeys(one for one in here if one in members and one not in gone))


def _there(question: Question, staff: Staff, group: str) -> tuple[PrincipalId, ...]:
    members = staff.members.get(group, ())
    can = tuple(one for one in members if one not in question.barred | question.answered)
    return can or tuple(one for one in members if one not in question.answered)
