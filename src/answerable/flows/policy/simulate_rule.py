"""Simulate a stop rule: ask the index which holds it would have placed on the recorded actions. Changes nothing.

Law: registers are read here, for the names that the index lacks: other processes of a deployment write them, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.lowlevel
from msgspec.structs import replace

from answerable.core.approval.approval import ApprovalId
from answerable.core.containment.hold import HoldId
from answerable.core.mandate.mandate import MandateId
from answerable.errors import shown
from answerable.errors.codes.containment import STOP_RULE_UNKNOWN
from answerable.flows.counters.rule_numbers import start_of, tracker_in
from answerable.ports.rule_trial import RULE, ApprovalTold, CapabilityTold, RegistersTold, RuleQuestion

if TYPE_CHECKING:
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.rule_trial import Lacked, RuleFiring, RuleTold
    from answerable.ports.search_process import Searches


@dataclass(slots=True, kw_only=True)
class RuleTrial:
    """The result of a simulation.

    `start`, `end`: first index read, and first index not read. `size`: of the ledger then. `unlisted`: further firings.
    `unknown`: how often a tracker's value was unknown because erased entries cannot be read. `others`: shards that were
    not read.
    """

    start: int
    end: int
    size: int
    firings: tuple[RuleFiring, ...]
    unlisted: int
    unknown: int
    others: tuple[str, ...]


async def simulate_rule(
    searches: Searches,
    recorder: Recorder,
    authority: AuthorityRegisters,
    limits: WalkLimits,
    name: str,
    *,
    since: int = 0,
) -> RuleTrial:
    """Simulate the rule, for as long as one answer of the index may take.

    `since`: Unix milliseconds; actions within the rule's window before it are counted, too. Raises Malformed
    (`stop_rule.unknown`), and Unavailable as the index and the registers do.
    """
    current = authority.registry.current
    rule = current.stop_rules.get(name)
    if rule is None:
        raise STOP_RULE_UNKNOWN(f"there is no stop rule {shown(name)}: apply it with `dryRun: true` first")
    tracker = tracker_in(current, rule)
    start = start_of(recorder.ledger, authority.mandates, limits, rule, tracker, since)
    question = RuleQuestion(
        rule=rule,
        tracker=tracker,
        capabilities=_capabilities(current),
        start=start,
        since=since,
        refusals_max=limits.refusals_recorded_max,
        refusals_ms=limits.refusals_window_ms,
    )
    found = await _told(searches, authority, question)
    return RuleTrial(
        start=start,
        end=found.end,
        size=found.size,
        firings=found.firings,
        unlisted=found.unlisted,
        unknown=found.unknown,
        others=found.others,
    )


async def _told(searches: Searches, authority: AuthorityRegisters, question: RuleQuestion) -> RuleTold:
    """Ask, and ask once more of the same entries with what was lacked."""
    found = await searches.ask(RULE, question)
    lacked = found.lacked
    if not (lacked.approvals or lacked.mandates or lacked.holds):
        return found
    told = await _registers(authority, lacked, with_actions=question.tracker is not None)
    again = await searches.ask(RULE, replace(question, stop=found.end, told=told))
    return replace(again, size=found.size)


async def _registers(authority: AuthorityRegisters, lacked: Lacked, *, with_actions: bool) -> RegistersTold:
    """Return what the registers have of these names, beside actions."""
    approvals: list[ApprovalTold] = []
    for name in lacked.approvals:
        one = authority.approvals.find(ApprovalId(name))
        if one is not None:
            action = one.action.thaw() if with_actions else None
            approvals.append(
                ApprovalTold(
                    id=one.id,
                    agent=one.agent,
                    capability=one.capability,
                    mandate=one.mandate,
                    created_at=one.created_at,
                    action=action if isinstance(action, dict) else {},
                )
            )
        await anyio.lowlevel.checkpoint()
    mandates: dict[str, str] = {}
    for name in lacked.mandates:
        mandate = authority.mandates.find(MandateId(name))
        if mandate is not None:
            mandates[name] = mandate.agent
        await anyio.lowlevel.checkpoint()
    holds: list[str] = []
    for name in lacked.holds:
        if authority.holds.get(HoldId(name)) is not None:
            holds.append(name)
        await anyio.lowlevel.checkpoint()
    return RegistersTold(approvals=tuple(approvals), mandates=mandates, holds=tuple(holds))


def _capabilities(current: RegistrySnapshot) -> tuple[CapabilityTold, ...]:
    active = (_capability(one, idle=False) for one in current.capabilities.values())
    return (*active, *(_capability(one, idle=True) for one in current.idle.values()))


def _capability(one: Capability, *, idle: bool) -> CapabilityTold:
    return CapabilityTold(
        name=one.name,
        server=one.server,
        method=one.method,
        target=one.target,
        kind=one.kind,
        environment=one.environment,
        sensitivity=one.sensitivity,
        resource=one.resource,
        arguments=one.arguments,
        idle=idle,
    )
