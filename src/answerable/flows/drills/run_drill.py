"""Run a drill of a stop, a revocation or a trace on a shadow agent, using every real part but the effect.

The result is recorded whether the drill passed or not. A drill that could not be recorded does not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from answerable.core.canonical import parse
from answerable.core.containment.drill import (
    ID_BYTES,
    Drill,
    Milestone,
    definition_of,
    document_of,
    drill_id,
)
from answerable.core.containment.hold import HoldTarget
from answerable.core.containment.shadow import ANSWERS, ASKS, WAITS
from answerable.core.identity.names.principal import AgentId, PrincipalId
from answerable.core.incident.timeline import story
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.records_drills import drill_run
from answerable.core.ledger.subject import LOG_SUBJECT
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import AnswerableError, Refused, Unverified
from answerable.flows.drills.report_containment import report_containment
from answerable.flows.drills.stage_drill import LIFE_SECONDS, SECONDS_MAX, not_kept, staged
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.revocation.end_instance import written
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.revocation.trace_effects import in_flight_under

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.containment.drill import Drilled, DrillKind
    from answerable.core.containment.hold import Hold
    from answerable.core.incident.timeline import Moment
    from answerable.core.ledger.answer import Answer
    from answerable.flows.drills.stage_drill import Stage
    from answerable.flows.state.parts import Recorder
    from answerable.flows.trust_domain.workloads import Workloads

CALLERS: Final = 4
"""Concurrent callers of the shadow, each of which continues until it is refused."""
PAUSE_SECONDS: Final = 0.001
GOES_ON_SECONDS: Final = 2.0
"""How long a caller tries after the press has returned, before it reports that it was never refused."""
ENTRIES_PER_TURN: Final = 256
REASON: Final = "a drill, on a shadow"


@dataclass(slots=True, kw_only=True)
class _Seen:
    """Observations of one drill. pressed, returned: monotonic clock; returned is 0 until the press has returned. ended:
    set when the in-flight call has ended."""

    stage: Stage
    pressed: float = 0.0
    returned: float = 0.0
    ended: anyio.Event = field(default_factory=anyio.Event)
    faults: list[str] = field(default_factory=list)
    took: dict[str, int] = field(default_factory=dict)

    def now(self, milestone: str) -> None:
        """Record that the milestone is reached now."""
        self.at(milestone, self.stage.recorder.clock.monotonic())

    def at(self, milestone: str, moment: float) -> None:
        """Record when the milestone was reached; a time before the press counts as the press."""
        self.took[milestone] = max(0, round((moment - self.pressed) * 1000))

    def expect(self, holds: bool, fault: str) -> None:
        """Add a fault unless the condition is true."""
        if not holds:
            self.faults.append(fault)


async def run_drill(workloads: Workloads, kind: DrillKind, what: Drilled, *, by: str) -> Drill:
    """Run one drill, record the result and return it, passed or not.

    by: who runs it, as authenticated at the endpoint. Raises Refused (`drill.unknown`, `drill.inactive`,
    `drill.not_kept`), and Unavailable where the drill could not be set up or recorded: then it does not count.
    """
    register = workloads.applying.drills.register
    if register is None:
        raise not_kept()
    stored = workloads.authority.registry.documents().get(document_of(what))
    at = workloads.recorder.clock.now()
    async with staged(workloads, what) as stage:
        seen = _Seen(stage=stage, pressed=workloads.recorder.clock.monotonic())
        with anyio.move_on_after(SECONDS_MAX) as limit:
            if kind == "trace":
                await _trace(seen)
            else:
                await _press(seen, kind, what, by=by)
        seen.expect(not limit.cancelled_caught, f"it was not over after {SECONDS_MAX} seconds")
        shadow = stage.shadow.name
    assert stored is not None  # noqa: S101 - of what is not registered there is no stage
    drill = Drill(
        id=drill_id(workloads.recorder.entropy.bytes(ID_BYTES)),
        kind=kind,
        what=what,
        definition=definition_of(parse(stored)),
        shadow=shadow,
        at=at,
        by=by,
        actions=len(stage.started_at),
        faults=tuple(seen.faults),
        took=tuple(Milestone(name, ms) for name, ms in sorted(seen.took.items())),
    )
    entry = drill_run(
        drill, sealing=sealing_for(workloads.recorder, LOG_SUBJECT), by=pseudonym_of(workloads.recorder, by)
    )
    # 1. On record. After a crash here, the next start finds the drill in the ledger.
    _, left = await record_entry(workloads.recorder, entry)
    # 2. It counts.
    await written(partial(register.put, [drill]))
    if left is not None:
        raise left
    return drill


async def _press(seen: _Seen, kind: DrillKind, what: Drilled, *, by: str) -> None:
    """Stop a busy shadow: callers that ignore answers, one call in flight and one question that waits."""
    stage, refusals = seen.stage, list[Refused | Unverified]()
    asked = (await stage.act(ASKS)).approval
    seen.expect(asked is not None, "no approval was requested, so none could be denied")
    answers: list[Answer] = []
    async with anyio.create_task_group() as tasks:
        for _ in range(CALLERS):
            tasks.start_soon(_go_on, seen, refusals)
        tasks.start_soon(_wait, seen, answers)
        await stage.waiting.wait()
        await stage.in_swing.wait()
        seen.pressed = stage.recorder.clock.monotonic()
        if asked is not None:
            tasks.start_soon(_until, seen, "approvals_frozen", partial(_is_denied, stage, asked.id))
        if what.kind == "agent":
            tasks.start_soon(_until, seen, "instance_ended", partial(_has_ended, stage))
        first = stage.recorder.ledger.size
        hold = await _pressed(seen, kind, what, by=by)
        seen.returned = stage.recorder.clock.monotonic()
        seen.now("in_force_and_recorded")
        if hold is not None:
            # A revocation prevents new actions; only a hold cuts calls in flight.
            with anyio.move_on_after(GOES_ON_SECONDS):
                await seen.ended.wait()
            seen.expect(seen.ended.is_set(), "the running call was not cut off")
        stage.let_end.set()
    last = max(stage.started_at, default=0.0)
    seen.at("last_action_started", last)
    seen.expect(last <= seen.returned, "an action started after the stop had returned")
    seen.expect(len(refusals) == CALLERS, "not every caller was refused")
    await _refused_anew(seen)
    seen.expect(bool(answers), "the running call has no end")
    if asked is not None:
        seen.expect(_is_denied(stage, asked.id), "the pending approval was not denied")
    if what.kind == "agent":
        seen.expect(_has_ended(stage), "the instance did not end")
    await _accounted(seen, first)
    if hold is not None:
        await _reported(seen, hold, asked)
    seen.now("report_complete")


async def _pressed(seen: _Seen, kind: DrillKind, what: Drilled, *, by: str) -> Hold | None:
    """Place the hold or revoke. Return the hold, if there is one."""
    stage = seen.stage
    name = stage.shadow.name
    if kind == "stop":
        placed = await place_hold(
            stage.recorder,
            stage.planning.authority,
            stage.live,
            stage.deciding.counters.cuts,
            HoldTarget(what.kind, name),
            by=by,
            reason=REASON,
            expires_at=stage.recorder.clock.now() + LIFE_SECONDS * 1000,
            source="drill",
            workloads=stage.workloads,
        )
        seen.expect(placed.recorded, "the hold could not be recorded")
        return placed.hold
    # A capability cannot be revoked itself, so revoke the mandate that grants it.
    revoked = RevocationTarget("agent", name) if what.kind == "agent" else RevocationTarget("mandate", name)
    await revoke_authority(
        stage.recorder,
        stage.planning.authority,
        stage.live,
        revoked,
        by=by,
        reason=REASON,
        workloads=stage.workloads,
        looks_back=False,
    )
    return None


async def _go_on(seen: _Seen, refusals: list[Refused | Unverified]) -> None:
    """Act repeatedly, ignoring answers, until refused."""
    clock = seen.stage.recorder.clock
    while not seen.returned or clock.monotonic() - seen.returned < GOES_ON_SECONDS:
        try:
            await seen.stage.act(ANSWERS)
        except (Refused, Unverified) as refused:
            refusals.append(refused)
            break
        except AnswerableError as failed:
            seen.faults.append(f"a caller got neither an answer nor a refusal: {failed.code}")
            break
        await anyio.sleep(PAUSE_SECONDS)
    seen.stage.in_swing.set()


async def _wait(seen: _Seen, answers: list[Answer]) -> None:
    try:
        answers.append(await seen.stage.act(WAITS))
    except AnswerableError as failed:
        seen.faults.append(f"the call on its way ended without an outcome: {failed.code}")
    finally:
        seen.stage.waiting.set()
        seen.ended.set()
    seen.now("in_flight_ended")


async def _refused_anew(seen: _Seen) -> None:
    before = len(seen.stage.started_at)
    try:
        await seen.stage.act(ANSWERS)
    except (Refused, Unverified):
        pass
    except AnswerableError as failed:
        seen.faults.append(f"an action after the press got neither an answer nor a refusal: {failed.code}")
    seen.expect(len(seen.stage.started_at) == before, "an action took effect after the stop")


async def _until(seen: _Seen, milestone: str, holds: Callable[[], bool]) -> None:
    """Record when a condition becomes true. If it never does, a later check reports that."""
    with anyio.move_on_after(SECONDS_MAX / 2):
        while not holds():  # noqa: ASYNC110 - no register tells when something becomes so
            await anyio.sleep(PAUSE_SECONDS)
        seen.now(milestone)


def _is_denied(stage: Stage, approval: ApprovalId) -> bool:
    found = stage.planning.authority.approvals.find(approval)
    return found is not None and found.state_at(stage.recorder.clock.now()) == "denied"


def _has_ended(stage: Stage) -> bool:
    found = stage.workloads.instances.find(stage.instance.id)
    return found is None or found.state == "ended"


async def _accounted(seen: _Seen, pressed_at: int) -> None:
    """Check in the ledger that every intent of the shadow has an end, and none after the press took effect."""
    stage = seen.stage
    name, cut_off = stage.shadow.name, -1
    ends: dict[int, str] = {}
    for count, stored in enumerate(stage.recorder.ledger.replay(stage.first_entry)):
        if count % ENTRIES_PER_TURN == 0:
            await anyio.lowlevel.checkpoint()
        leaf = leaf_of(stored)
        if stored.tag == Tag.INTENT and leaf.get("agent") == name:
            ends[stored.index] = ""
        elif stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            intent = leaf.get("intent")
            if isinstance(intent, int) and intent in ends:
                ends[intent] = str(leaf.get("status"))
        elif stored.tag in (Tag.HOLD_PLACED, Tag.REVOKED) and leaf.get("name") == name and cut_off < 0:
            cut_off = stored.index
    seen.expect(cut_off >= pressed_at, "the stop is not in the ledger")
    seen.expect(all(ends.values()), "an action has no end in the ledger")
    late = [index for index, status in ends.items() if index > cut_off >= 0 and status != "not_started"]
    seen.expect(not late, "an action that was decided after the stop took effect")
    open_still = in_flight_under(stage.recorder, stage.planning.authority, RevocationTarget("agent", name))
    seen.expect(not open_still, "an action is still in flight")


async def _reported(seen: _Seen, hold: Hold, asked: Approval | None) -> None:
    """Check that the report people get is complete and has everything."""
    stage = seen.stage
    report = await report_containment(
        stage.recorder,
        stage.planning.authority,
        stage.live,
        stage.deciding.counters.cuts,
        stage.deciding.asking.limits,
        hold,
        workloads=stage.workloads,
    )
    seen.expect(report.is_settled, "the report is not complete: something is in flight")
    seen.expect(report.in_flight_count > 0, "the report lacks the running call")
    seen.expect(not report.after_count, "the report has an action that started after the stop")
    seen.expect(report.last is not None, "the report lacks the last effect before the stop")
    seen.expect(asked is None or asked.id in report.approvals, "the report lacks the denied approval")
    if hold.what.kind == "agent":
        seen.expect(report.instances_count > 0, "the report lacks the instance that ended")


async def _trace(seen: _Seen) -> None:
    """Check that an effect can be traced to the acting agent, the giver of its task and the person who approved it."""
    stage = seen.stage
    alone, asked = await stage.act(ANSWERS), (await stage.act(ASKS)).approval
    seen.expect(asked is not None, "no question was asked")
    agreed = None
    if asked is not None:
        await stage.approve(asked)
        agreed = await stage.act(ASKS)
    seen.pressed = stage.recorder.clock.monotonic()
    moments = await anyio.to_thread.run_sync(_moments, stage.recorder, stage.first_entry)
    for how, answer in (("an action that ran alone", alone), ("an action that a person agreed to", agreed)):
        if answer is None or not answer.action_id:
            seen.faults.append(f"{how} was not done")
            continue
        found = story(moments, answer.action_id)
        _traced(seen, how, found, approver=stage.shadow.approver if answer is agreed else "")
    seen.now("traced")


def _moments(recorder: Recorder, since: int) -> tuple[Moment, ...]:
    return tuple(
        opened_moment(stored, recorder.subject_keys.find) for stored in recorder.ledger.replay(since)
    )


def _traced(seen: _Seen, how: str, found: tuple[Moment, ...], *, approver: str) -> None:
    name = seen.stage.shadow.name
    intents = [one for one in found if one.tag == Tag.INTENT]
    seen.expect(
        len(intents) == 1 and intents[0].leaf.get("agent") == AgentId(name),
        f"{how} has no intent that names its agent",
    )
    seen.expect(
        any(one.tag == Tag.OUTCOME and one.leaf.get("status") == "succeeded" for one in found),
        f"{how} has no outcome",
    )
    seen.expect(
        _says(found, Tag.MANDATE_ISSUED, "principal", PrincipalId(name)), f"{how} is traced to nobody's task"
    )
    if approver:
        seen.expect(_says(found, Tag.APPROVAL_ANSWER, "person", approver), f"{how} is traced to nobody's yes")


def _says(found: tuple[Moment, ...], tag: Tag, member: str, value: str) -> bool:
    return any(one.tag == tag and (one.payload or {}).get(member) == value for one in found)
