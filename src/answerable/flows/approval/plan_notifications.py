"""Determine who is to be notified of an approval or a notice on a channel. Reads the registry and the approvals; sends
nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.approval.delivery import PERSON, PLACE, REQUESTER, Delivery
from answerable.core.approval.message import message_text, notice_message
from answerable.core.approval.route import EVERYBODY, THE_REQUESTER
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.errors import AnswerableError
from answerable.flows.approval.notify_on_call import route_of
from answerable.flows.validity.deputy_validity import agent_owners
from answerable.flows.validity.mandate_validity import schedule_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.notice import Notice
    from answerable.core.approval.route import Route
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.flows.state.reach_desk import NotificationState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.registry_store import RegistryStore

ENDED_AGO_MAX: Final = 3_600_000
"""Milliseconds after its end in which an approval may still be planned for the first time."""


def receivers_of(
    authority: AuthorityRegisters, asking: AskingState, approval: Approval, routes: Iterable[Route]
) -> tuple[str, ...]:
    """Return the receivers of the question on these routes: those who may answer it, and the giver of the task.

    Where a group has a duty, only those whose turn it is now are included; the next ones follow when their turn comes.
    """
    asked = {group for one in approval.requirements for group in one.groups}
    found: dict[str, None] = {}
    barred = _barred(authority, asking.limits, approval)
    turn = _turn(authority, asking, approval, asked)
    for route in routes:
        if route.group == THE_REQUESTER:
            found.update(dict.fromkeys(f"{REQUESTER}{one}" for one in _givers(authority.registry, approval)))
        elif route.place and (route.group == EVERYBODY or route.group in asked):
            found[f"{PLACE}{route.place}"] = None
        elif not route.place:
            groups = asked if route.group == EVERYBODY else asked & {route.group}
            people = _members(authority.registry, groups) if turn is None else turn(groups)
            found.update(dict.fromkeys(f"{PERSON}{one}" for one in people if one not in barred))
    return tuple(found)


def _turn(
    authority: AuthorityRegisters, asking: AskingState, approval: Approval, asked: set[str]
) -> Callable[[set[str]], Iterable[str]] | None:
    """Return a function from groups to the people whose turn it is in them, deputies included. None where no asked
    group has a duty."""
    if not asked & authority.registry.current.duties.keys() or approval.state != "pending":
        return None
    turn = route_of(authority, asking, approval).turn
    outside = set(turn).difference(_members(authority.registry, asked))
    return lambda groups: [
        one for one in turn if groups and one in outside.union(_members(authority.registry, groups))
    ]


def receivers_of_notice(registry: RegistryStore, notice: Notice, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the receivers of the notice on these routes."""
    found: dict[str, None] = {}
    for route in routes:
        if route.group not in (EVERYBODY, notice.group):
            continue
        if route.place:
            found[f"{PLACE}{route.place}"] = None
        else:
            found.update(dict.fromkeys(f"{PERSON}{one}" for one in _members(registry, {notice.group})))
    return tuple(found)


def new_deliveries(
    authority: AuthorityRegisters,
    asking: AskingState,
    desk: NotificationState,
    channel: str,
    *,
    there: Collection[tuple[str, str]],
    since: int,
    now: UnixMillis,
    approvals: Iterable[Approval],
) -> Iterator[Delivery]:
    """Yield the deliveries not planned yet. there: what is planned, as pairs of subject and receiver. since: when the
    channel was set up; approvals that ended before it are not reported."""
    routes = desk.routes_on(channel)
    to_requesters = [one for one in routes if one.group == THE_REQUESTER]
    for approval in approvals:
        state = approval.state_at(now)
        over = state != "pending"
        if over and (approval.created_at < since or approval.expires_at + ENDED_AGO_MAX < now):
            continue
        # A person who was not asked while the approval was pending need not hear that it ended.
        for to in receivers_of(authority, asking, approval, to_requesters if over else routes):
            if (approval.id, to) not in there:
                yield Delivery(about=approval.id, channel=channel, to=to, made_at=now)


def notices_planned(
    registry: RegistryStore, clock: Clock, desk: NotificationState, notice: Notice
) -> Iterator[Delivery]:
    """Yield the deliveries of one notice, on every channel."""
    now = clock.now()
    body = message_text(notice_message(notice, now=now))
    for channel in desk.channels:
        for to in receivers_of_notice(registry, notice, desk.routes_on(channel)):
            yield Delivery(
                about=f"{notice.action_id}.{notice.group}", channel=channel, to=to, made_at=now, body=body
            )


def address_of(registry: RegistryStore, desk: NotificationState, delivery: Delivery) -> tuple[str, ...]:
    """Return the receiver's addresses on the channel now; empty for a person who is not active or has no address."""
    if not delivery.person:
        return (delivery.to.removeprefix(PLACE),)
    # A person disabled since planning is not in force, and so not among the principals.
    person = registry.current.principals.get(PrincipalId(delivery.person))
    if person is None:
        return ()
    return desk.addresses[delivery.channel](person.name)


def _members(registry: RegistryStore, groups: set[str]) -> Iterator[str]:
    for person in registry.current.principals.values():
        if groups.intersection(person.groups):
            yield person.name


def _givers(registry: RegistryStore, approval: Approval) -> tuple[str, ...]:
    """Return the giver of the task; for a schedule, its owner."""
    return (schedule_owner(approval.principal, registry.current) or approval.principal,)


def _barred(authority: AuthorityRegisters, limits: WalkLimits, approval: Approval) -> frozenset[str]:
    """Return those whose yes would not count or who have answered: they are not asked."""
    try:
        owners = agent_owners(authority, limits, approval)
    except (AnswerableError, KeyError):
        owners = frozenset()
    answered = {answer.by for answer in approval.answers}
    return owners | answered | {approval.principal, *_givers(authority.registry, approval)}
