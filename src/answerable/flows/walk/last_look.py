"""The last look before the effect: whether all that an action was decided on still stands.

Laws: between this look and the start nothing else runs; where the epoch is another one than that of the plan, whatever
changed since is asked anew, and an action that would not be allowed now is not started; what begins or ends by its time
is asked each time; what cannot be told is a no.
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
from answerable.flows.walk.pin_tools import pin_outdated
from answerable.flows.walk.plan import find_plan
from answerable.flows.walk.verify_request import verify_again

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.containment.reach import Judged
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.facts import ApprovalFact, Facts
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.flows.state.walk import Walk
    from answerable.flows.state.worlds import Plan
    from answerable.ports.worlds import World


class Grounds(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an action was decided on. caller: as it was proved."""

    plan: Plan
    caller: VerifiedCaller
    verified: VerifiedRequest
    facts: Facts
    decision: Decision


def why_not_start(walk: Walk, grounds: Grounds) -> str:
    """Why an action whose intent is on disk is not started now; empty where it is. Raises Unavailable."""
    plan, verified = grounds.plan, grounds.verified
    moved = walk.worlds.epoch() != plan.epoch
    if are_coming(walk):
        return "another process applied documents that are not in force here yet"
    ended = _ended(walk, verified, judged_now(walk, verified) if moved else plan.judged)
    if ended or not moved:
        return ended
    return _withdrawn(walk, verified) or _otherwise(walk, grounds)


def _ended(walk: Walk, verified: VerifiedRequest, judged: Judged) -> str:
    """Whoever stopped the task or the agent while the intent was on its way to the disk wins. What begins or ends by
    its time is in no epoch, and a mandate is closed here before its file says so: both are looked at each time."""
    stopped = "" if judged.free else judged.stopped(walk.clock.now())
    if stopped:
        return f"{stopped} before the start"
    if not walk.stands(verified.caller.identity, walk.clock.now()):
        return "the instance was ended before the start"
    if walk.mandates.state(verified.mandate.id) != "open":
        return "the mandate was closed before the start"
    return ""


def _withdrawn(walk: Walk, verified: VerifiedRequest) -> str:
    """What is told in words of its own, where something changed."""
    unpinned = pin_outdated(walk, verified)
    if unpinned is not None:
        return unpinned.message
    agents = walk.registry.current.agents
    through = (verified.caller.agent, *(AgentId(hop.agent) for hop in verified.hops))
    if any(one not in agents or agents[one].status != "active" for one in through):
        return "the agent was stopped before the start"
    return ""


def _otherwise(walk: Walk, grounds: Grounds) -> str:
    """Why it would not be allowed in the world of now, which is another one than it was decided in."""
    try:
        said = _decided_now(walk, walk.worlds.current(), grounds)
    except (Malformed, Refused, Unverified) as fault:
        said = fault.message
    return f"it would not be allowed any more: {said}" if said else ""


def _decided_now(walk: Walk, world: World, grounds: Grounds) -> str:
    """Raises what `verify_again` raises, and Malformed for an approval that cannot be read."""
    verified, before = grounds.verified, grounds.decision
    unable = world.late or no_room(walk)
    if unable is not None:
        return unable.message
    plan = find_plan(walk, verified.request, grounds.caller)
    fresh = verify_again(walk, plan, verified, grounds.caller)
    if (fresh.resource_id, fresh.subject, fresh.destinations) != (
        verified.resource_id,
        verified.subject,
        verified.destinations,
    ):
        return "the registry names what it touches otherwise by now"
    hold = plan.judged.hold(walk.clock.now())
    facts = structs.replace(
        grounds.facts,
        registry_digest=world.registry.digest,
        mandate_state=world.mandate_state(fresh.mandate.id),
        approval=_approved_now(walk, grounds.facts),
        hold=hold.fact() if hold is not None else None,
    )
    decision = world.policies.decide(fresh, facts)
    if before.wider is not None:
        if decision.policy_set != before.policy_set:
            return "policy narrowed it, and the policies are others by now"
        decision = after_narrowing(before.wider, decision, facts.approval)
    if decision.effect != "allow":
        return decision.reasons[0].text if decision.reasons else "policy gave no reason"
    more = {*decision.all_obligations} - {*before.all_obligations}
    return "policy asks for more by now than the intent says" if more else ""


def _approved_now(walk: Walk, facts: Facts) -> ApprovalFact | None:
    """The approval that let it run, with the answers that still count."""
    found = walk.approvals.find(ApprovalId(facts.approval.id)) if facts.approval is not None else None
    return found.fact(partial(groups_now, walk, found)) if found is not None else None
