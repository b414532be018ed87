"""Route approvals to people: notify those on call first, and the next ones when nobody answers.

Laws: a person who may answer may do so at any time, notified or not; a step is recorded before it is notified, and
notified once; after a crash between the two it is notified anyway; an approval that is answered, denied, expired or
void is not routed further; one turn checks a limited number of questions, not all that wait.
"""

from __future__ import annotations

import logging
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.approval.assurance_level import tier_shown
from answerable.core.approval.routing import FIRST, Question, Staff, who_is_asked
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.records_duties import TOLD_NAMED_MAX, approval_escalated
from answerable.errors import Unavailable
from answerable.flows.escalation.end_invalid_deputies import end_invalid_deputies
from answerable.flows.recording.record_entry import pseudonym_of, record_entry
from answerable.flows.recording.rounds import until_round
from answerable.flows.revocation.end_instance import written
from answerable.flows.validity.deputy_validity import cannot_say_yes, standing_in
from answerable.flows.validity.mandate_validity import shard_elsewhere
from answerable.flows.validity.refuse_revoked import signer_fault
from answerable.ports.ledger import TAKES_NOTHING_NOW

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.routing import Told
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.flows.state.duty_desk import OnCallState
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.duty_register import DutyRegister
    from answerable.ports.registry_store import RegistryStore

_log: Final = logging.getLogger(__name__)

LOOK_SECONDS_MAX: Final = 1.0
"""How late a turn may be, where a clock jumps or another process changed something."""
AGAIN_MILLIS: Final = 5_000
"""When a step that could not be recorded is tried again."""
SCAN_CHUNK: Final = 500
KEPT_MILLIS: Final = 90 * 86_400_000
"""How long notifications and views are stored."""


def tell_asked(registry: RegistryStore, asking: AskingState, clock: Clock, approval: Approval) -> None:
    """Notify people of a new question: at once where their groups have no duty, otherwise by the duty's routing."""
    duties = registry.current.duties
    if asking.duties.register is None or not any(
        group in duties for one in approval.requirements for group in one.groups
    ):
        asking.channel.announce(approval)
        return
    asking.duties.look(approval.id, clock.now())


async def follow_duties(recorder: Recorder, authority: AuthorityRegisters, asking: AskingState) -> None:
    """Route questions until cancelled. If the register or the log is unavailable, log a warning and try again: a late
    notification must not end the server. Raises as the log does when it is broken."""
    while asking.duties.register is not None:
        try:
            if asking.duties.scanned is not authority.registry.current:
                await end_invalid_deputies(recorder, authority.registry, asking.duties)
                await scan_waiting(authority, asking.duties)
                await forget_duties(asking.duties, recorder.clock)
            if await tell_due(recorder, authority, asking):
                continue
        except Unavailable as failed:
            _log.warning("people on call cannot be determined at the moment: %s", failed.message)
        with anyio.move_on_after(until_round(LOOK_SECONDS_MAX)):
            await asking.duties.woken.wait()
        asking.duties.woken = anyio.Event()


async def scan_waiting(authority: AuthorityRegisters, duties: OnCallState) -> int:
    """Schedule every pending question for a check, after a start and after documents were applied; return how many
    there are."""
    desk, current, now = duties, authority.registry.current, authority.clock.now()
    count = 0
    if not current.duties:
        desk.scanned = current
        return count
    for one in authority.approvals.all(pending_only=True, now=now):
        desk.look(one.id, now)
        count += 1
        if not count % SCAN_CHUNK:
            await anyio.lowlevel.checkpoint()
    desk.scanned = current
    return count


async def tell_due(recorder: Recorder, authority: AuthorityRegisters, asking: AskingState) -> int:
    """Notify every step that is due, for at most one turn's questions; return how many were checked.

    Raises Unavailable, except for a log without room.
    """
    desk, now = asking.duties, recorder.clock.now()
    register = desk.register
    if register is None:
        return 0
    due = desk.due(now)
    found = [authority.approvals.find(name) for name in due]
    waiting = [one for one in found if one is not None and one.state_at(now) == "pending"]
    staff = staff_now(authority, asking, now, groups=groups_asked(waiting))
    for place, approval in enumerate(waiting):
        try:
            await _looked_at(recorder, authority, asking, register, approval, staff, now)
        except Unavailable as failed:
            for left in waiting[place:]:
                desk.look(left.id, _after(now, AGAIN_MILLIS))
            if failed.code not in TAKES_NOTHING_NOW:
                raise
            return place
    return len(due)


async def _looked_at(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    register: DutyRegister,
    approval: Approval,
    staff: Staff,
    now: UnixMillis,
) -> None:
    mandate = authority.mandates.find(approval.mandate)
    if mandate is None or shard_elsewhere(mandate, recorder.ledger.origin) is not None:
        return
    routing = who_is_asked(question_of(authority, asking.duties, asking.limits, approval), staff, now)
    for told in routing.due:
        await _told(recorder, asking, register, approval, told, now)
    if routing.next_at is not None and routing.next_at < approval.expires_at:
        asking.duties.look(approval.id, routing.next_at)


async def _told(
    recorder: Recorder,
    asking: AskingState,
    register: DutyRegister,
    approval: Approval,
    told: Told,
    now: UnixMillis,
) -> None:
    place = (approval.id, told.group, told.step)
    recorded = asking.duties.recorded
    if told.step != FIRST and place not in recorded:
        # 1. On record. After a crash here, the next start finds the entry, and notifies without another entry.
        people = [pseudonym_of(recorder, one) for one in told.people[:TOLD_NAMED_MAX]]
        entry = approval_escalated(approval, told, at=now, people=people)
        _, left = await record_entry(recorder, entry, then=lambda _: recorded.add(place))
        if left is not None:
            raise left
    # 2. Notified. After a crash here, they are notified once more.
    asking.channel.announce(approval, to=told.people, step=told.step)
    # 3. Stored as notified.
    await written(partial(register.tell, approval.id, told.group, told.step, now))
    recorded.discard(place)


def question_of(
    authority: AuthorityRegisters, duties: OnCallState, limits: WalkLimits, approval: Approval
) -> Question:
    """Return the routing input of an approval, as it is now."""
    register = duties.register
    capability = authority.registry.current.capabilities.get(approval.capability)
    answered = frozenset(str(one.by) for one in approval.answers)
    # A workflow's answer does not show that a person has seen the question.
    looked = any(not one.workflow for one in approval.answers)
    seen = looked or (register is not None and register.first_view(approval.id) is not None)
    return Question(
        requirements=approval.requirements,
        tier=tier_shown(approval),
        created_at=approval.created_at,
        owner=capability.ownership.owner if capability is not None else "",
        barred=cannot_say_yes(authority, limits, approval),
        answered=answered,
        seen=seen,
        told=register.told(approval.id) if register is not None else frozenset(),
    )


def staff_now(
    authority: AuthorityRegisters, asking: AskingState, now: UnixMillis, *, groups: Collection[str]
) -> Staff:
    """Return the members of these groups, including deputies, without people who are held or revoked. Raises
    Unavailable."""
    current, everybody = authority.registry.current, _members(authority.registry, asking.duties)
    members = {
        group: [one for one in everybody.get(group, ()) if signer_fault(authority, one, "") is None]
        for group in groups
    }
    in_place_of: dict[tuple[str, PrincipalId], PrincipalId] = {}
    for one in standing_in(authority, asking, now):
        in_place_of.setdefault((one.group, one.of), one.to)
        here = members.get(one.group)
        if here is not None and one.to not in here:
            here.append(one.to)
    return Staff(members=members, duties=current.duties, in_place_of=in_place_of)


def groups_asked(approvals: Iterable[Approval]) -> frozenset[str]:
    """Return every group that one of these approvals asks."""
    return frozenset(group for approval in approvals for one in approval.requirements for group in one.groups)


def _members(registry: RegistryStore, duties: OnCallState) -> Mapping[str, tuple[PrincipalId, ...]]:
    """Return the members of every group, computed once per registry."""
    desk, current = duties, registry.current
    if desk.members_of is not current:
        found: dict[str, list[PrincipalId]] = {}
        for person in current.principals.values():
            for group in person.groups:
                found.setdefault(group, []).append(person.name)
        desk.members = MappingProxyType({group: tuple(sorted(people)) for group, people in found.items()})
        desk.members_of = current
    return desk.members


async def note_view(
    authority: AuthorityRegisters, asking: AskingState, approval: Approval, person: PrincipalId
) -> None:
    """Record that a person who may answer viewed the approval. Only the first view of each person is stored, and only
    while the approval is pending, so that viewing cannot fill the register. Best effort: a view that cannot be stored
    counts as none, and more people are notified."""
    register, now = asking.duties.register, authority.clock.now()
    if (
        register is None
        or approval.state_at(now) != "pending"
        or person in cannot_say_yes(authority, asking.limits, approval)
    ):
        return
    members = staff_now(authority, asking, now, groups=groups_asked([approval])).members
    if not any(person in people for people in members.values()):
        return
    try:
        await written(partial(register.view, approval.id, person, now))
    except Unavailable:
        return


async def forget_duties(duties: OnCallState, clock: Clock) -> int:
    """Delete data that is no longer needed. Raises Unavailable."""
    register = duties.register
    before = _after(clock.now(), -KEPT_MILLIS)
    return await written(partial(register.forget, before=before)) if register is not None else 0


def _after(now: UnixMillis, millis: int) -> UnixMillis:
    return UnixMillis(now + millis)
