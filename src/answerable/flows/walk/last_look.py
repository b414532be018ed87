"""Check right before the effect that everything the action was decided on is still valid.

Laws: no await between this check and the start. If something changed since the plan's epoch on which the action may
depend, everything is checked again, and an action that would not be allowed now is not started. Time-dependent
conditions are checked every time. If a check cannot be made, the action is not started.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from answerable.core.approval.approval import ApprovalId
from answerable.core.decision.decision import after_narrowing
from answerable.core.identity.names.principal import AgentId
from answerable.errors import Malformed, Refused, Unverified
from answerable.flows.revocation.end_without_room import no_room
from answerable.flows.validity.answers_standing import groups_now
from answerable.flows.validity.refuse_revoked import judged_now
from answerable.flows.walk.await_documents import are_coming
from answerable.flows.walk.find_plan import find_plan
from answerable.flows.walk.pin_tools import pin_outdated
from answerable.flows.walk.verify_request import verify_again

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.containment.reach import Judged
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.facts import ApprovalFact, Facts
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.tool_pins import ToolPinRegister
    from answerable.ports.worlds import Plan, Worlds


class Grounds(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an action was decided on. `caller`: the caller as proved, before tool observations are added."""

    plan: Plan
    caller: VerifiedCaller
    verified: VerifiedRequest
    facts: Facts
    decision: Decision


def why_not_start(ledger: Ledger, planning: Planning, deciding: Deciding, grounds: Grounds) -> str:
    """Return why an action with a durable intent must not start now; an empty string if it may.

    Raises Unavailable, and Broken as `find_plan`.
    """
    plan, verified = grounds.plan, grounds.verified
    verification, authority = planning.verification, planning.authority
    changed = verification.worlds.epoch() != plan.epoch and _is_changed(verification.worlds, grounds)
    if authority.registry.coming is not None and are_coming(authority.registry):
        return "another process applied documents that are not in force here yet"
    ended = _ended(
        authority.mandates,
        verification.stands,
        authority.clock,
        verified,
        judged_now(authority, verified) if changed else plan.judged,
    )
    if ended or not changed:
        return ended
    return _withdrawn(authority, verification.pins, deciding.asking.limits, verified) or _otherwise(
        ledger, planning, deciding, grounds
    )


def _is_changed(worlds: Worlds, grounds: Grounds) -> bool:
    """Whether anything that the action was decided on may have changed in the epochs since its plan.

    Whoever approved the action, or prepared what it executes, acted under names that its plan does not have.
    """
    plan = grounds.plan
    if grounds.facts.approval is not None or grounds.verified.prepared is not None:
        return True
    return not plan.outlives(worlds.changed(plan.epoch))


def _ended(
    mandates: MandateRegister,
    stands: Callable[[CallerIdentity, UnixMillis], bool],
    clock: Clock,
    verified: VerifiedRequest,
    judged: Judged,
) -> str:
    """Check what can end without a new epoch: holds by their time, the instance, and the mandate.

    A stop that arrives while the intent is being written wins. This process closes a mandate in memory before the
    register file says so.
    """
    stopped = "" if judged.free else judged.stopped(clock.now())
    if stopped:
        return f"{stopped} before the start"
    if not stands(verified.caller.identity, clock.now()):
        return "the instance was ended before the start"
    if mandates.state(verified.mandate.id) != "open":
        return "the mandate was closed before the start"
    return ""


def _withdrawn(
    authority: AuthorityRegisters, pins: ToolPinRegister, limits: WalkLimits, verified: VerifiedRequest
) -> str:
    """Return the reason for changes that have a message of their own: the tool pin, or an agent's status."""
    unpinned = pin_outdated(authority, pins, limits, verified)
    if unpinned is not None:
        return unpinned.message
    agents = authority.registry.current.agents
    through = (verified.caller.agent, *(AgentId(hop.agent) for hop in verified.hops))
    if any(one not in agents or agents[one].status != "active" for one in through):
        return "the agent was stopped before the start"
    return ""


def _otherwise(ledger: Ledger, planning: Planning, deciding: Deciding, grounds: Grounds) -> str:
    """Decide the action again in the current world, and return why it would not be allowed."""
    try:
        said = _decided_now(ledger, planning, deciding, grounds)
    except (Malformed, Refused, Unverified) as fault:
        said = fault.message
    return f"the action is no longer allowed: {said}" if said else ""


def _decided_now(ledger: Ledger, planning: Planning, deciding: Deciding, grounds: Grounds) -> str:
    """Return why it would not be allowed now. Raises as `verify_again`, and Malformed for an unreadable approval."""
    authority, verification, asking = planning.authority, planning.verification, deciding.asking
    verified, before, world = grounds.verified, grounds.decision, verification.worlds.current()
    unable = world.late or no_room(authority.room)
    if unable is not None:
        return unable.message
    plan = find_plan(
        planning, deciding.counters.quota, ledger, asking.limits, verified.request, grounds.caller
    )
    fresh = verify_again(authority.registry, verification, plan, verified, grounds.caller)
    if (fresh.resource_id, fresh.subject, fresh.destinations) != (
        verified.resource_id,
        verified.subject,
        verified.destinations,
    ):
        return "the registry now gives the action another resource, data subject or destination"
    hold = plan.judged.hold(authority.clock.now())
    facts = structs.replace(
        grounds.facts,
        registry_digest=world.registry.current.digest,
        mandate_state=world.mandates.state(fresh.mandate.id),
        approval=_approved_now(authority, asking, grounds.facts),
        hold=hold.fact() if hold is not None else None,
    )
    decision = world.decision_point.decide(fresh, facts)
    if before.wider is not None:
        if decision.policy_set != before.policy_set:
            return "policy narrowed the action, and other policies are in force now"
        decision = after_narrowing(before.wider, decision, facts.approval)
    if decision.effect != "allow":
        return decision.reasons[0].text if decision.reasons else "policy gave no reason"
    more = {*decision.all_obligations} - {*before.all_obligations}
    return "policy now requires more than the intent records" if more else ""


def _approved_now(authority: AuthorityRegisters, asking: AskingState, facts: Facts) -> ApprovalFact | None:
    """Return the approval that let the action run, with only those answers that are still valid."""
    found = authority.approvals.find(ApprovalId(facts.approval.id)) if facts.approval is not None else None
    return found.fact(partial(groups_now, authority, asking, found)) if found is not None else None
