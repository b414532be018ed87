"""Answer questions about duty: who is on call, times that nobody covers, whose turn a question is, and queue health.

Queue figures follow from the registers of approvals and duties alone (governance check AP-08). Where there is nothing
to count, the figure is absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.approval.routing import turns
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.registry.documents.on_call import cover_gaps, gap_text, on_call, quiet_until
from answerable.errors import shown
from answerable.errors.codes.approval import DUTY_NONE
from answerable.flows.escalation.route_approval import groups_asked, question_of, staff_now
from answerable.flows.validity.deputy_validity import standing_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.routing import Staff
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.registry.documents.duty import Duty
    from answerable.flows.state.duty_desk import OnCallState
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.flows.state.walk_limits import WalkLimits

HEALTH_MAX: Final = 10_000
"""Approvals that the figures cover, the newest first."""
BACKLOG_TOLD_MAX: Final = 100
QUIET_TIER: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCall:
    """The people on call for one duty. first, second: the people on each line, or their deputies. quiet_until: end of
    the current quiet hours; None for none.

    covered: whether anybody is on call; if not, the whole group is asked.
    """

    duty: Duty
    first: tuple[PrincipalId, ...]
    second: tuple[PrincipalId, ...]
    quiet_until: UnixMillis | None

    @property
    def covered(self) -> bool:
        """Whether anybody is on call."""
        return bool(self.first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time, from `begins` to `ends`, in which nobody of the group is on call. text: human-readable."""

    group: str
    begins: UnixMillis
    ends: UnixMillis
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How far an approval has been routed. turn: the people whose turn it is now. told: group and step number of each
    notified step. next_at: when the next step is due; None for none."""

    turn: tuple[PrincipalId, ...]
    told: tuple[tuple[str, int], ...]
    first_view: UnixMillis | None
    next_at: UnixMillis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHealth:
    """Health of the approval queue. asked: questions of the period. seen: how many of these were seen; half of those
    within view_p50_ms, 95 % within view_p95_ms; None where none was. expired_unseen: expired questions that nobody had
    opened. waiting: pending now. backlog: pending approvals per person who may answer, highest first. since: creation
    time of the oldest one counted."""

    asked: int
    seen: int
    view_p50_ms: int | None
    view_p95_ms: int | None
    expired: int
    expired_unseen: int
    waiting: int
    backlog: tuple[tuple[PrincipalId, int], ...]
    since: UnixMillis


def on_call_now(
    authority: AuthorityRegisters, asking: AskingState, at: UnixMillis, *, group: str = ""
) -> list[OnCall]:
    """Return who is on call for every duty, or for that of one group, sorted by group. Raises Refused (`duty.none`),
    Unavailable."""
    duties = authority.registry.current.duties
    if group and group not in duties:
        raise DUTY_NONE(f"group {shown(group)} has no Duty document")
    wanted = [duties[one] for one in sorted(duties) if group in ("", one)]
    # Deputies are known for now only: delegations may be given or ended before `at`.
    staff = staff_now(authority, asking, at, groups=[one.group for one in wanted])
    told: list[OnCall] = []
    for duty in wanted:
        lines = [
            tuple(
                dict.fromkeys(
                    here
                    for one in on_call(duty, at, line)
                    if (here := staff.in_place_of.get((duty.group, one), one)) in staff.members[duty.group]
                )
            )
            for line in ("first", "second")
        ]
        told.append(
            OnCall(duty=duty, first=lines[0], second=lines[1], quiet_until=quiet_until(duty, QUIET_TIER, at))
        )
    return told


def gaps_ahead(authority: AuthorityRegisters, asking: AskingState, *, days: int) -> list[Gap]:
    """Return the coming times that nobody of a group covers. Raises Unavailable."""
    now, duties = authority.clock.now(), authority.registry.current.duties
    members = staff_now(authority, asking, now, groups=list(duties)).members
    return [
        Gap(group=group, begins=gap[0], ends=gap[1], text=gap_text(duties[group], gap))
        for group in sorted(duties)
        for gap in cover_gaps(duties[group], members[group], since=now, days=days)
    ]


def groups_uncovered(authority: AuthorityRegisters, asking: AskingState) -> list[str]:
    """Return the groups whose duty has nobody on call at this moment. Raises Unavailable."""
    return [
        one.duty.group for one in on_call_now(authority, asking, authority.clock.now()) if not one.covered
    ]


def route_of(authority: AuthorityRegisters, asking: AskingState, approval: Approval) -> Route:
    """Return how far a question has been routed. Raises Unavailable."""
    return routes_of(authority, asking, [approval])[approval.id]


def routes_of(
    authority: AuthorityRegisters, asking: AskingState, approvals: Sequence[Approval]
) -> dict[str, Route]:
    """Return `route_of` for several approvals, by id. Raises Unavailable."""
    now = authority.clock.now()
    staff = staff_now(authority, asking, now, groups=groups_asked(approvals))
    return {one.id: _route(authority, asking.duties, asking.limits, one, staff, now) for one in approvals}


def _route(
    authority: AuthorityRegisters,
    duties: OnCallState,
    limits: WalkLimits,
    approval: Approval,
    staff: Staff,
    now: UnixMillis,
) -> Route:
    if approval.state_at(now) != "pending":
        return Route(
            turn=(), told=_told(duties, approval), first_view=_first_view(duties, approval), next_at=None
        )
    question = question_of(authority, duties, limits, approval)
    found = turns(question, staff, now)
    next_at = found.next_at
    return Route(
        turn=tuple(sorted({who for told in found.due for who in told.people})),
        told=_told(duties, approval),
        first_view=_first_view(duties, approval),
        next_at=next_at if next_at is not None and next_at < approval.expires_at else None,
    )


def queue_health(authority: AuthorityRegisters, asking: AskingState, *, since: UnixMillis) -> QueueHealth:
    """Return the figures of the questions asked since then, at most the newest `HEALTH_MAX`. Raises Unavailable."""
    now = authority.clock.now()
    found: list[Approval] = []
    for one in authority.approvals.all(pending_only=False, now=now):
        if len(found) == HEALTH_MAX or one.created_at < since:
            break
        found.append(one)
    views = {one.id: view for one in found if (view := seen_at(asking.duties, one)) is not None}
    took = sorted(views[one.id] - one.created_at for one in found if one.id in views)
    expired = [one for one in found if one.state_at(now) == "expired"]
    waiting = list(authority.approvals.all(pending_only=True, now=now))
    return QueueHealth(
        asked=len(found),
        seen=len(took),
        view_p50_ms=_share(took, 50),
        view_p95_ms=_share(took, 95),
        expired=len(expired),
        expired_unseen=sum(one.id not in views for one in expired),
        waiting=len(waiting),
        backlog=_backlog(authority, asking, waiting, now),
        since=min((one.created_at for one in found), default=since),
    )


def seen_at(duties: OnCallState, approval: Approval) -> UnixMillis | None:
    """Return when a person who may answer first had the question open, at the latest when they answered; answers by
    workflows do not count. None for never. The ledger also has what an answer says of this."""
    said = [one for one in approval.answers if not one.workflow]
    times = [one.at if one.opened_at is None else one.opened_at for one in said]
    first = _first_view(duties, approval)
    return min([*times, *([first] if first is not None else [])], default=None)


def _backlog(
    authority: AuthorityRegisters, asking: AskingState, waiting: Sequence[Approval], now: UnixMillis
) -> tuple[tuple[PrincipalId, int], ...]:
    members = staff_now(authority, asking, now, groups=groups_asked(waiting)).members
    counts: dict[PrincipalId, int] = {}
    for approval in waiting:
        answered = {one.by for one in approval.answers}
        may = {who for one in approval.requirements for group in one.groups for who in members.get(group, ())}
        for who in may - answered:
            counts[who] = counts.get(who, 0) + 1
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(ordered[:BACKLOG_TOLD_MAX])


def standing_delegations(authority: AuthorityRegisters, asking: AskingState) -> frozenset[str]:
    """Return the ids of the delegations of duty in force now. Raises Unavailable."""
    return frozenset(one.id for one in standing_in(authority, asking, authority.clock.now()))


def _told(duties: OnCallState, approval: Approval) -> tuple[tuple[str, int], ...]:
    register = duties.register
    return tuple(sorted(register.told(approval.id))) if register is not None else ()


def _first_view(duties: OnCallState, approval: Approval) -> UnixMillis | None:
    register = duties.register
    return register.first_view(approval.id) if register is not None else None


def _share(values: Sequence[int], percent: int) -> int | None:
    """Return the nearest-rank percentile."""
    return values[max(0, -(-len(values) * percent // 100) - 1)] if values else None
