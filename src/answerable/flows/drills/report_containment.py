"""Report what a hold stopped and what it could not stop, and record the report once no action is in flight.

The report is computed from the ledger on every query. The recorded report says what was known when the last in-flight
action had ended, and names the logs that it does not cover. After a crash between the ledger entry and the register,
the report is recorded a second time with the same content.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import msgspec

from answerable.core.containment.hold import HoldId
from answerable.core.containment.reach import reach_of
from answerable.core.ledger import records_holds
from answerable.core.ledger.containment import (
    FLIGHTS_NAMED_MAX,
    NAMED_MAX,
    ContainmentReport,
    Flight,
    OnRecord,
    StillLive,
    StopPart,
)
from answerable.core.ledger.effects import NotAsked, ordered
from answerable.core.ledger.subject import LOG_SUBJECT, principal_subject
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import AnswerableError, shown
from answerable.errors.codes.containment import HOLD_UNKNOWN
from answerable.flows.containment.scan_stop import SCANS_MAX, is_instance_under, scanned, stop_part
from answerable.flows.leases.list_outstanding_access import outstanding_of
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.recording.rounds import until_round
from answerable.flows.revocation.end_instance import written
from answerable.flows.revocation.end_leases import LeasesWithin, leases_within
from answerable.flows.revocation.place_hold import open_mandates
from answerable.flows.revocation.trace_effects import OTHERS_SECONDS_MAX, answers_elsewhere
from answerable.flows.validity.refuse_revoked import agent_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import Hold, HoldKind
    from answerable.core.ledger.effects import Undoing
    from answerable.core.mandate.revocation import RevocationKind
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.hold_register import HoldRegister
    from answerable.ports.shard_link import ShardLink

RETRY_SECONDS: Final = 0.2
"""Poll interval for the end of in-flight actions."""
REST_SECONDS: Final = 1.0
"""Poll interval for holds to report on."""

OTHERS_MILLIS: Final = 30_000
"""How long the recorded report waits for processes that give no answer, and for ends known to other processes, beyond
the longest duration of an action in flight."""
LEASES_ENDING_MILLIS: Final = 30_000
"""How long after a hold its report waits for ending leases: a broker's default timeout for one revocation."""
RECORDED_SECONDS_MAX: Final = 60.0
"""How long the recorded report waits for other processes, beyond the link's own timeout."""
AT_A_TIME: Final = 4
"""Holds per round; fewer than the stored scans, so that no log is read twice for them."""

_AS_REVOKED: Final[dict[HoldKind, RevocationKind]] = {
    "agent": "agent",
    "instance": "agent",
    "mandate": "mandate",
    "hop": "hop",
    "key": "key",
    "manifest": "manifest",
    "trust_domain": "trust_domain",
}
"""Holds whose tokens the token register finds under the same name."""
_ON_TARGETS: Final = frozenset({"tool", "server", "capability", "credential"})
"""Holds that stop no agent, only what agents use."""

_SVID: Final = "offline verifiers accept it until it expires"
_BELIEVED: Final = "a hold does not end tokens: verifiers that check offline or by the status list accept it"
_UNKNOWN_END: Final = "the upstream did not report how it ended: it may still be running, or be done"
_RUNNING: Final = "it was started before the stop, and the upstream has not answered"

_log: Final = logging.getLogger(__name__)


def hold_called(holds: HoldRegister, name: HoldId) -> Hold:
    """Return the hold. Raises Refused (`hold.unknown`)."""
    found = holds.get(name)
    if found is None:
        raise HOLD_UNKNOWN(f"there is no hold {shown(name)}: see `answerable hold list`")
    return found


async def told_part(
    recorder: Recorder,
    authority: AuthorityRegisters,
    scans: dict[HoldId, object],
    limits: WalkLimits,
    name: str,
) -> StopPart:
    """Return this log's part of a containment report, for the process of another shard. Raises Refused
    (`hold.unknown`), Unavailable."""
    hold = await anyio.to_thread.run_sync(hold_called, authority.holds, HoldId(name))
    return await stop_part(recorder, authority, scans, limits, hold)


async def report_containment(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live_access: LiveAccess,
    cuts: dict[HoldId, int],
    limits: WalkLimits,
    hold: Hold,
    *,
    workloads: Workloads | None = None,
    others_seconds: float = OTHERS_SECONDS_MAX,
) -> ContainmentReport:
    """Report what the hold stopped and could not stop, as far as known now. others_seconds: how long to wait for the
    processes of other shards; those that do not answer are named. Raises Unavailable, Broken."""
    parts, not_asked = await _elsewhere(live_access.link, hold, others_seconds)
    own = await stop_part(recorder, authority, live_access.scans, limits, hold)
    parts, scan = (own, *parts), await scanned(recorder, authority, live_access.scans, limits, hold)
    flights = tuple(one for part in parts for one in part.in_flight)
    after = tuple(one for part in parts for one in part.after)
    counted: Counter[Undoing] = Counter()
    for part in parts:
        counted.update(part.counted)
    mandates = await anyio.to_thread.run_sync(open_mandates, authority, hold)
    leases = await leases_within(authority.registry, live_access.leases, recorder.clock, hold)
    live, is_live_all = await _still_live(authority, live_access, hold, flights, workloads, leases.live)
    return ContainmentReport(
        hold=hold,
        log=recorder.ledger.origin,
        entry=own.entry,
        approvals=await anyio.to_thread.run_sync(_denied, authority.approvals, hold),
        instances=tuple(scan.instances),
        instances_count=scan.instances_count,
        mandates=mandates[:NAMED_MAX],
        mandates_count=len(mandates),
        cut=cuts.get(hold.id),
        last=max((one.last for one in parts if one.last is not None), key=lambda one: one.at, default=None),
        in_flight=flights[:FLIGHTS_NAMED_MAX],
        in_flight_count=sum(one.in_flight_count for one in parts),
        running=sum(one.running for one in parts),
        after=after[:FLIGHTS_NAMED_MAX],
        after_count=sum(one.after_count for one in parts),
        done=ordered(one for part in parts for one in part.done),
        counted=dict(counted),
        live=live[:NAMED_MAX],
        live_count=len(live),
        is_live_all=is_live_all,
        not_asked=not_asked,
        looked_from=own.looked_from,
        entries=own.entries,
        recorded=scan.report,
        leases=leases.ended,
        leases_due_at=_leases_due(hold, leases, recorder.clock.now()),
        elsewhere=next(
            (
                OnRecord(log=one.log, entry=one.entry, report=one.report)
                for one in parts[1:]
                if one.entry >= 0
            ),
            None,
        ),
    )


def _waits_for_others(report: ContainmentReport, limits: WalkLimits, now: int) -> bool:
    """Whether another log may still say more: its action has no end yet, or its process, which may be starting again,
    gave no answer."""
    longest = OTHERS_MILLIS
    if report.running:
        # By that time its process has ended it, or was not there to say so.
        longest += limits.intent_ttl_ms + limits.upstream_ms_max
    return bool(report.running or report.not_asked) and now < report.hold.at + longest


def _leases_due(hold: Hold, leases: LeasesWithin, now: int) -> int:
    due = hold.at + LEASES_ENDING_MILLIS
    return due if leases.ending and now < due else 0


@dataclass(slots=True)
class ReportTurns:
    """Whose turn it is among the holds to report on. elsewhere: holds in other logs, which are skipped. waited: holds
    whose report had to wait, the one that waits longest for another look first."""

    elsewhere: set[HoldId] = field(default_factory=set)
    waited: dict[HoldId, None] = field(default_factory=dict)

    def take(self, unreported: Sequence[Hold]) -> list[Hold]:
        """Return the holds of this round: those never looked at, then those that waited longest."""
        found = {one.id: one for one in unreported if one.id not in self.elsewhere}
        self.waited = {one: None for one in self.waited if one in found}
        ordered_ids = [one for one in found if one not in self.waited] + list(self.waited)
        return [found[one] for one in ordered_ids[:AT_A_TIME]]

    def wait(self, hold: HoldId) -> None:
        """Give up this hold's turn until every other has had one."""
        self.waited.pop(hold, None)
        self.waited[hold] = None


async def record_reports(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    limits: WalkLimits,
    *,
    workloads: Workloads | None = None,
    turns: ReportTurns | None = None,
) -> int:
    """Record the reports of holds whose in-flight actions have all ended; return how many were recorded. Raises
    Unavailable, Broken.

    Each process does so for the holds in its own log. turns: of earlier rounds, so that holds that must wait delay no
    other.
    """
    turns = ReportTurns() if turns is None else turns
    unreported = await anyio.to_thread.run_sync(authority.holds.unreported)
    done = 0
    for hold in turns.take(unreported):
        turns.wait(hold.id)
        scan = await scanned(recorder, authority, live.scans, limits, hold)
        if scan.entry < 0:
            turns.elsewhere.add(hold.id)
            continue
        if scan.report < 0:
            if any(not one.status for one in scan.in_flight()):
                continue
            report = await report_containment(
                recorder,
                authority,
                live,
                cuts,
                limits,
                hold,
                workloads=workloads,
                others_seconds=RECORDED_SECONDS_MAX,
            )
            if report.leases_due_at or _waits_for_others(report, limits, recorder.clock.now()):
                continue
            await _record(recorder, report)
            done += 1
        await written(partial(authority.holds.reported, [hold.id]))
    return done


async def follow_reports(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    limits: WalkLimits,
    *,
    workloads: Workloads | None = None,
) -> None:
    """Record the reports of holds as soon as they can be, until cancelled. A failed attempt is repeated."""
    turns = ReportTurns()
    while True:
        rest = REST_SECONDS
        try:
            if await anyio.to_thread.run_sync(authority.holds.unreported):
                await record_reports(
                    recorder, authority, live, cuts, limits, workloads=workloads, turns=turns
                )
                # Past the scans that are kept, each look reads the log again.
                rest = RETRY_SECONDS if len(turns.waited) <= SCANS_MAX else REST_SECONDS
        except AnswerableError as failed:
            _log.warning("the effects of a hold cannot be recorded at the moment: %s", failed.message)
        await anyio.sleep(until_round(rest))


def told(report: ContainmentReport) -> dict[str, JSONValue]:
    """Return the report as a JSON object, times in Unix milliseconds."""
    hold = report.hold
    members = {name: getattr(report, name) for name in report.__struct_fields__ if name != "hold"}
    plain: dict[str, JSONValue] = msgspec.json.decode(msgspec.json.encode(members))
    return {
        **plain,
        "complete": report.is_complete,
        "hold": hold.id,
        "kind": hold.what.kind,
        "name": hold.what.name,
        "placed_at": hold.at,
    }


async def _record(recorder: Recorder, report: ContainmentReport) -> None:
    kind, name = report.hold.what
    about_person = kind == "owner"
    entry = records_holds.containment_report(
        report,
        at=recorder.clock.now(),
        sealing=sealing_for(recorder, principal_subject(name) if about_person else LOG_SUBJECT),
        person=pseudonym_of(recorder, name) if about_person else "",
        body=told(report),
    )
    _, left = await record_entry(recorder, entry)
    if left is not None:
        raise left


def _denied(approvals: ApprovalRegister, hold: Hold) -> tuple[str, ...]:
    """Return the approvals that this hold denied."""
    return tuple(one.id for one in approvals.all(pending_only=False, now=hold.at) if one.ended_by == hold.id)


async def _still_live(
    authority: AuthorityRegisters,
    live: LiveAccess,
    hold: Hold,
    flights: Sequence[Flight],
    workloads: Workloads | None,
    leases: Sequence[StillLive],
) -> tuple[tuple[StillLive, ...], bool]:
    """Return what is still live, first those whose end is unknown, then those that last longest; and whether the list
    is complete."""
    found = [
        StillLive(kind="action", name=one.action, until=0, why=_UNKNOWN_END)
        for one in flights
        if one.status == "indeterminate"
    ]
    found += [
        StillLive(kind="action", name=one.action, until=one.due_at, why=_RUNNING)
        for one in flights
        if not one.status
    ]
    found += leases
    # This process does not know at which server a token is presented.
    is_all = live.tokens is None or hold.what.kind not in _ON_TARGETS
    if hold.what.kind not in _ON_TARGETS:
        tokens, all_tokens = await anyio.to_thread.run_sync(_tokens, authority, live, hold)
        found += tokens
        is_all = is_all and all_tokens
        if workloads is not None:
            svids = await outstanding_of(workloads, lambda one: is_instance_under(authority, one, hold))
            found += [
                StillLive(kind="svid", name=f"{one.instance} ({one.kind})", until=one.expires_at, why=_SVID)
                for one in svids.svids
            ]
            is_all = is_all and svids.is_all
    found.sort(key=lambda one: (one.until != 0, -one.until))
    return tuple(found), is_all


def _tokens(
    authority: AuthorityRegisters, live_access: LiveAccess, hold: Hold
) -> tuple[list[StillLive], bool]:
    if live_access.tokens is None:
        return [], True
    now = authority.clock.now()
    count, first = live_access.tokens.subtree(_revocable_names(authority, hold))
    live = [one for one in first if one.expires_at > now and not live_access.tokens.has_ended(one.jti)]
    named = [StillLive(kind="token", name=one.jti, until=one.expires_at, why=_BELIEVED) for one in live]
    return named, count <= len(first)


def _revocable_names(authority: AuthorityRegisters, hold: Hold) -> list[RevocationTarget]:
    """Return the names by which tokens within reach are found: the hold's own, or that of every agent within reach."""
    kind, name = hold.what
    if kind in _AS_REVOKED:
        return [RevocationTarget(_AS_REVOKED[kind], name)]
    current = authority.registry.current
    return [
        RevocationTarget("agent", agent)
        for agent in current.agents
        if hold.what in reach_of(agent_names(authority, agent), current)
    ]


async def _elsewhere(
    link: ShardLink | None, hold: Hold, seconds_max: float
) -> tuple[tuple[StopPart, ...], tuple[NotAsked, ...]]:
    return await answers_elsewhere(
        link, lambda link, origin: link.contained(origin, hold.id), seconds_max=seconds_max
    )
