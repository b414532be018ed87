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
    from answerable.flows.state.walk import Walk
    from answerable.ports.duty_register import DutyRegister

_log: Final = logging.getLogger(__name__)

LOOK_SECONDS_MAX: Final = 1.0
"""How late a turn may be, where a clock jumps or another process changed something."""
AGAIN_MILLIS: Final = 5_000
"""When a step that could not be recorded is tried again."""
SCAN_CHUNK: Final = 500
KEPT_MILLIS: Final = 90 * 86_400_000
"""How long notifications and views are stored."""


def tell_asked(walk: Walk, approval: Approval) -> None:
    """Notify people of a new question: at once where their groups have no duty, otherwise by the duty's routing."""
    duties = walk.registry.current.duties
    if walk.duties.register is None or not any(
        group in duties for one in approval.requirements for group in one.groups
    ):
        walk.channel.announce(approval)
        return
    walk.duties.look(approval.id, walk.clock.now())


async def follow_duties(walk: Walk) -> None:
    """Route questions until cancelled. If the register or the log is unavailable, log a warning and try again: a late
    notification must not end the server. Raises as the log does when it is broken."""
    while walk.duties.register is not None:
        try:
            if walk.duties.scanned is not walk.registry.current:
                await end_invalid_deputies(walk)
                await scan_waiting(walk)
                await forget_duties(walk)
            if await tell_due(walk):
                continue
        except Unavailable as failed:
            _log.warning("people on call cannot be determined at the moment: %s", failed.message)
        with anyio.move_on_after(until_round(LOOK_SECONDS_MAX)):
            await walk.duties.woken.wait()
        walk.duties.woken = anyio.Event()


async def scan_waiting(walk: Walk) -> int:
    """Schedule every pending question for a check, after a start and after documents were applied; return how many
    there are."""
    desk, current, now = walk.duties, walk.registry.current, walk.clock.now()
    count = 0
    if not current.duties:
        desk.scanned = current
        return count
    for one in walk.approvals.all(pending_only=True, now=now):
        desk.look(one.id, now)
        count += 1
        if not count % SCAN_CHUNK:
            await anyio.lowlevel.checkpoint()
    desk.scanned = current
    return count


async def tell_due(walk: Walk) -> int:
    """Notify every step that is due, for at most one turn's questions; return how many were checked.

    Raises Unavailable, except for a log without room.
    """
    desk, now = walk.duties, walk.clock.now()
    register = desk.register
    if register is None:
        return 0
    due = desk.due(now)
    found = [walk.approvals.find(name) for name in due]
    waiting = [one for one in found if one is not None and one.state_at(now) == "pending"]
    staff = staff_now(walk, now, groups=groups_asked(waiting))
    for place, approval in enumerate(waiting):
        try:
            await _looked_at(walk, register, approval, staff, now)
        except Unavailable as failed:
            for left in waiting[place:]:
                desk.look(left.id, _after(now, AGAIN_MILLIS))
            if failed.code not in TAKES_NOTHING_NOW:
                raise
            return place
    return len(due)


async def _looked_at(
    walk: Walk, register: DutyRegister, approval: Approval, staff: Staff, now: UnixMillis
) -> None:
    mandate = walk.mandates.find(approval.mandate)
    if mandate is None or shard_elsewhere(mandate, walk.ledger.origin) is not None:
        return
    routing = who_is_asked(question_of(walk, approval), staff, now)
    for told in routing.due:
        await _told(walk, register, approval, told, now)
    if routing.next_at is not None and routing.next_at < approval.expires_at:
        walk.duties.look(approval.id, routing.next_at)


async def _told(walk: Walk, register: DutyRegister, approval: Approval, told: Told, now: UnixMillis) -> None:
    place = (approval.id, told.group, told.step)
    recorded = walk.duties.recorded
    if told.step != FIRST and place not in recorded:
        # 1. On record. After a crash here, the next start finds the entry, and notifies without another entry.
        people = [pseudonym_of(walk, one) for one in told.people[:TOLD_NAMED_MAX]]
        entry = approval_escalated(approval, told, at=now, people=people)
        _, left = await record_entry(walk, entry, then=lambda _: recorded.add(place))
        if left is not None:
            raise left
    # 2. Notified. After a crash here, they are notified once more.
    walk.channel.announce(approval, to=told.people, step=told.step)
    # 3. Stored as notified.
    await written(partial(register.tell, approval.id, told.group, told.step, now))
    recorded.discard(place)


def question_of(walk: Walk, approval: Approval) -> Question:
    """Return the routing input of an approval, as it is now."""
    register = walk.duties.register
    capability = walk.registry.current.capabilities.get(approval.capability)
    answered = frozenset(str(one.by) for one in approval.answers)
    # A workflow's answer does not show that a person has seen the question.
    looked = any(not one.workflow for one in approval.answers)
    seen = looked or (register is not None and register.first_view(approval.id) is not None)
    return Question(
        requirements=approval.requirements,
        tier=tier_shown(approval),
        created_at=approval.created_at,
        owner=capability.ownership.owner if capability is not None else "",
        barred=cannot_say_yes(walk, approval),
        answered=answered,
        seen=seen,
        told=register.told(approval.id) if register is not None else frozenset(),
    )


def staff_now(walk: Walk, now: UnixMillis, *, groups: Collection[str]) -> Staff:
    """Return the members of these groups, including deputies, without people who are held or revoked. Raises
    Unavailable."""
    current, everybody = walk.registry.current, _members(walk)
    members = {
        group: [one for one in everybody.get(group, ()) if signer_fault(walk, one, "") is None]
        for group in groups
    }
    in_place_of: dict[tuple[str, PrincipalId], PrincipalId] = {}
    for one in standing_in(walk, now):
        in_place_of.setdefault((one.group, one.of), one.to)
        here = members.get(one.group)
        if here is not None and one.to not in here:
            here.append(one.to)
    return Staff(members=members, duties=current.duties, in_place_of=in_place_of)


def groups_asked(approvals: Iterable[Approval]) -> frozenset[str]:
    """Return every group that one of these approvals asks."""
    return frozenset(group for approval in approvals for one in approval.requirements for group in one.groups)


def _members(walk: Walk) -> Mapping[str, tuple[PrincipalId, ...]]:
    """Return the members of every group, computed once per registry."""
    desk, current = walk.duties, walk.registry.current
    if desk.members_of is not current:
        found: dict[str, list[PrincipalId]] = {}
        for person in current.principals.values():
            for group in person.groups:
                found.setdefault(group, []).append(person.name)
        desk.members = MappingProxyType({group: tuple(sorted(people)) for group, people in found.items()})
        desk.members_of = current
    return desk.members


async def note_view(walk: Walk, approval: Approval, person: PrincipalId) -> None:
    """Record that a person who may answer viewed the approval. Only the first view of each person is stored, and only
    while the approval is pending, so that viewing cannot fill the register. Best effort: a view that cannot be stored
    counts as none, and more people are notified."""
    register, now = walk.duties.register, walk.clock.now()
    if register is None or approval.state_at(now) != "pending" or person in cannot_say_yes(walk, approval):
        return
    members = staff_now(walk, now, groups=groups_asked([approval])).members
    if not any(person in people for people in members.values()):
        return
    try:
        await written(partial(register.view, approval.id, person, now))
    except Unavailable:
        return


async def forget_duties(walk: Walk) -> int:
    """Delete data that is no longer needed. Raises Unavailable."""
    register = walk.duties.register
    before = _after(walk.clock.now(), -KEPT_MILLIS)
    return await written(partial(register.forget, before=before)) if register is not None else 0


def _after(now: UnixMillis, millis: int) -> UnixMillis:
    return UnixMillis(now + millis)
