"""Plan an action: verify agent, mandate, capability, tool and budget accounts (step 2, without the arguments).

A plan is made once for each caller, task and capability in one epoch, and cached. What depends on a clock or a counter
is checked for each action: quotas, the age of hops, and what the upstream offers now.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from msgspec import structs

from answerable.core.identity.names.principal import PrincipalId
from answerable.core.mandate.token_life import check_age
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.action import PLAN_DIFFERS
from answerable.errors.codes.registry import AGENT_DRIFTED, CAPABILITY_UNKNOWN
from answerable.errors.codes.tlog import PROOF_OTHER_MESSAGE
from answerable.flows.state.worlds import Plan
from answerable.flows.validity.mandate_validity import known_session, schedule_owner
from answerable.flows.validity.manifest_standing import standing_manifest
from answerable.flows.validity.observe_tools import tools_fault, with_tools
from answerable.flows.validity.refuse_revoked import judged_task
from answerable.flows.validity.verify_lineage import verified_claim, verify_lineage
from answerable.flows.walk.await_documents import require_none_coming
from answerable.flows.walk.may_act import (
    active_agent,
    check_quota,
    check_tools,
    given_fault,
    listed_definition,
    offered_definition,
)
from answerable.flows.walk.note_unregistered import note_unregistered
from answerable.flows.walk.pin_tools import at_hinted_tier, is_pin_by_clock
from answerable.flows.walk.spend_budget import task_accounts

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.snapshot.resolve import Resolved
    from answerable.flows.state.walk import Walk
    from answerable.flows.state.worlds import PlanKey
    from answerable.ports.worlds import Epoch


def find_plan(walk: Walk, request: ActionRequest, caller: VerifiedCaller) -> Plan:
    """Return the plan that this request is verified against, in the current epoch.

    Raises Unverified (`proof.other_message`) if the proof covers other bytes. Raises Refused: `agent.inactive`,
    `agent.drifted`, `manifest.*`, `held.agent`, `held.mandate`, `capability.unknown`, `capability.ceiling`,
    `mandate.unknown`, `mandate.other_agent`, `mandate.other_shard`, `mandate.beyond_giver`, `mandate.session`,
    `delegation.*`, `upstream.unknown`, and as `pin_fault` says. Raises Unavailable if the state in force cannot be
    read, and `registry.coming` while documents of another process are not in force yet. Raises Broken (`plan.differs`)
    if a cached plan that was checked differs from one made anew.
    """
    if not hmac.compare_digest(request.message_digest, caller.message_digest):
        raise PROOF_OTHER_MESSAGE()
    # Read the epoch before anything the plan is made of: any later change then belongs to another epoch.
    epoch = walk.worlds.epoch()
    require_none_coming(walk)
    key = _key_of(walk, request, caller)
    known = walk.plans.find(key, epoch) if key is not None else None
    if known is not None:
        _check_by_clock(walk, known, caller)
        # The server may have announced meanwhile that its tool list is outdated.
        if listed_definition(walk, known.capability).digest == known.definition.digest:
            if not walk.plans.is_check_due() or _is_as_anew(walk, known, request, caller):
                return known
            return find_plan(walk, request, caller)
    plan = _made(walk, request, caller, epoch)
    if key is not None and not is_pin_by_clock(walk, plan.capability):
        walk.plans.keep(key, plan)
    return plan


def _is_as_anew(walk: Walk, plan: Plan, request: ActionRequest, caller: VerifiedCaller) -> bool:
    """Whether a cached plan equals one made anew; False if what is in force changed meanwhile, so that they may differ.

    Raises Broken (`plan.differs`), after dropping all plans: whatever changed did not start another epoch.
    """
    try:
        what = ", ".join(_differing(plan, _made(walk, request, caller, plan.epoch)))
    except Refused as fault:
        what = fault.code
    if not what:
        return True
    if walk.worlds.reread() != plan.epoch:
        return False
    walk.plans.drop(what, walk.clock.now())
    raise PLAN_DIFFERS(
        f"a kept plan differs from one made anew in {shown(what)}: all plans were dropped, and nothing was done"
    )


def _differing(kept: Plan, anew: Plan) -> list[str]:
    """Return the names of the fields in which these plans differ."""
    one, other = ({**structs.asdict(plan), "definition": plan.definition.digest} for plan in (kept, anew))
    return [name for name in one if name != "epoch" and one[name] != other[name]]


def _key_of(walk: Walk, request: ActionRequest, caller: VerifiedCaller) -> PlanKey | None:
    """Return the cache key; None for a chain that does not verify, because refusals are not cached."""
    chain = b""
    if request.delegation:
        try:
            # The last hop names all hops above it by hash, so its digest identifies the whole chain.
            chain = verified_claim(walk, request.delegation, walk.clock.now()).leaf.digest
        except Refused:
            return None
    return (
        request.mandate_id, chain, request.server, request.method, request.target,
        caller.agent, caller.key, caller.certificate, caller.process, caller.identity,
    )  # fmt: skip


def _check_by_clock(walk: Walk, plan: Plan, caller: VerifiedCaller) -> None:
    mandate, hops = plan.delegation_lineage.mandate, plan.delegation_lineage.hops
    check_quota(walk, caller.agent, caller.at, mandate.id)
    if hops:
        # Check the registered tier and the tier raised by hints: settings may allow the lower tier less time.
        for tier in (plan.capability.tier, plan.resolved.capability.tier):
            check_age(hops, tier=tier, limits=walk.acting, now=walk.clock.now())


def _made(walk: Walk, request: ActionRequest, caller: VerifiedCaller, epoch: Epoch) -> Plan:
    if active_agent(walk, caller.agent).drift == "refuse":
        _check_drift(walk, caller)
    caller = _with_tools_seen(walk, caller)
    check_quota(walk, caller.agent, caller.at, request.mandate_id or "")
    resolved = walk.registry.index.resolve(request.server, request.method, request.target)
    if resolved is None:
        note_unregistered(walk, caller, request.server, request.target)
        raise CAPABILITY_UNKNOWN(
            f"{shown(request.target)} on server {shown(request.server)} has no active capability"
        )
    capability = resolved.capability
    lineage = verify_lineage(
        walk,
        caller,
        mandate_id=request.mandate_id,
        delegation=request.delegation,
        server=request.server,
        now=walk.clock.now() if request.delegation else caller.at,
    )
    mandate, hops = lineage.mandate, lineage.hops
    check_quota(walk, caller.agent, caller.at, mandate.id)
    check_age(hops, tier=capability.tier, limits=walk.acting, now=walk.clock.now())
    agents = (caller.agent, *(hop.agent for hop in hops))
    fault = given_fault(mandate, capability.name, agents, walk.registry.current)
    if fault is not None:
        raise fault
    definition = offered_definition(walk, capability)
    resolved = _at_hinted_tier(walk, resolved, definition, lineage)
    session = _session(walk, mandate)
    return Plan(
        epoch=epoch,
        identity=caller.identity,
        capability=capability,
        resolved=resolved,
        delegation_lineage=lineage,
        definition=definition,
        principals=_principals(mandate, walk),
        session=session,
        judged=judged_task(walk, caller, mandate, hops, resolved.capability),
        accounts=task_accounts(mandate, session, hops, resolved.capability.tier),
    )


def _at_hinted_tier(
    walk: Walk, resolved: Resolved, definition: ToolDefinition, delegation_lineage: DelegationLineage
) -> Resolved:
    """Raise the tier to the server's hints if they are riskier than the owner's document, and check hop ages again."""
    hinted = at_hinted_tier(walk, resolved.capability, definition)
    if hinted is resolved.capability:
        return resolved
    check_age(delegation_lineage.hops, tier=hinted.tier, limits=walk.acting, now=walk.clock.now())
    return replace(resolved, capability=hinted)


def _session(walk: Walk, mandate: Mandate) -> tuple[Authority, ...]:
    try:
        return known_session(walk, mandate)
    except Malformed as fault:
        # A mandate accepted before this check existed. An unreadable session may be a bound, so refuse.
        raise Refused(fault.message, code=fault.code) from None


def _check_drift(walk: Walk, caller: VerifiedCaller) -> None:
    """Raise Refused: `agent.drifted` if the instance differs from its manifest, if another manifest came into force
    since the proof, or if the offered tools differ; `manifest.*` if nobody answers for the manifest any more.

    An agent without a manifest passes.
    """
    standing = standing_manifest(walk, caller.agent)
    identity = caller.identity
    outdated = standing is not None and identity.instance and identity.manifest != standing.digest
    if identity.drifted or outdated:
        raise AGENT_DRIFTED(
            f"agent {shown(caller.agent)} differs from its manifest: run what the manifest states, or "
            "have its owner sign a new manifest"
        )
    check_tools(walk, caller.agent)


def _with_tools_seen(walk: Walk, caller: VerifiedCaller) -> VerifiedCaller:
    """Add what the gateway observes of the tools to the caller's identity, for policy and ledger."""
    signed = walk.manifests.current(caller.agent)
    if signed is None or not signed.manifest.tools_digest:
        return caller
    identity = caller.identity
    if tools_fault(walk, caller.agent):
        grade: Grade | Literal[""] = "claimed" if identity.manifest else ""
        identity = structs.replace(identity, drifted=True, manifest_grade=grade)
    elif identity.manifest == signed.digest:
        identity = structs.replace(identity, manifest_fields=with_tools(identity.manifest_fields))
    else:
        return caller
    return structs.replace(caller, identity=identity)


def _principals(mandate: Mandate, walk: Walk) -> tuple[PrincipalId, ...]:
    """Return the mandate's principals, the answerable person first: a schedule's owner answers for its mandates."""
    owner = schedule_owner(mandate.principal, walk.registry.current)
    return (PrincipalId(owner), mandate.principal) if owner else (mandate.principal,)
