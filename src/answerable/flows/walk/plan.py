"""Make a plan: verify agent, mandate, capability, tool and budget accounts (step 2, without the arguments).

Laws: a plan is made of a World, the request and the caller, and of nothing else: what ends authority and is not in the
World cannot be in a plan, and whatever is in the World moves the epoch. Nothing is waited for, and nothing is written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import structs

from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate.session_claims import session_of
from answerable.core.mandate.token_life import check_age
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.registry import AGENT_DRIFTED, CAPABILITY_UNKNOWN
from answerable.flows.validity.mandate_validity import schedule_owner
from answerable.flows.validity.manifest_standing import standing_manifest
from answerable.flows.validity.observe_tools import tools_verdict, unread_server, with_tools
from answerable.flows.validity.refuse_revoked import judged_under, revocable_names
from answerable.flows.validity.verify_lineage import verify_lineage
from answerable.flows.walk.may_act import (
    active_agent,
    check_quota,
    check_tools,
    given_fault,
    offered_definition,
    require_listed,
)
from answerable.flows.walk.pin_tools import approver_names, at_hinted_tier
from answerable.flows.walk.spend_budget import task_accounts
from answerable.ports.worlds import ChangeScope, Plan, World

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.containment.hold import HoldTarget
    from answerable.core.containment.reach import Judged
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.mandate.token_life import ActingLimits
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.snapshot.resolve import Resolved
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.validity.verify_lineage import Presented
    from answerable.flows.walk.pin_tools import Pinning


class PlanTerms(NamedTuple):
    """What a plan is made by beside the world. `by`: what the caller acts under, as presented. `acting`: how long
    tokens may be used for actions. `pinning`: how tools are pinned, and the present time."""

    by: Presented
    acting: ActingLimits
    pinning: Pinning


def plan_of(world: World, request: ActionRequest, caller: VerifiedCaller, terms: PlanTerms) -> Plan:
    """Return the plan of this request in this world. Raises Refused and Unavailable as `find_plan` says."""
    current = world.registry.current
    if active_agent(current, caller.agent).drift == "refuse":
        _check_drift(world, caller)
    caller = _with_tools_seen(world, caller)
    check_quota(world.quota, caller.agent, caller.at, request.mandate_id or "")
    resolved = world.registry.index.resolve(request.server, request.method, request.target)
    if resolved is None:
        raise CAPABILITY_UNKNOWN(
            f"{shown(request.target)} on server {shown(request.server)} has no active capability"
        )
    capability = resolved.capability
    lineage = verify_lineage(world, caller, terms.by, server=request.server)
    mandate, hops = lineage.mandate, lineage.hops
    check_quota(world.quota, caller.agent, caller.at, mandate.id)
    check_age(hops, tier=capability.tier, limits=terms.acting, now=terms.pinning.now)
    agents = (caller.agent, *(hop.agent for hop in hops))
    fault = given_fault(mandate, capability.name, agents, current)
    if fault is not None:
        raise fault
    definition = offered_definition(world, world.upstream, world.pins, world.fits, capability, terms.pinning)
    resolved = _at_hinted_tier(world, resolved, definition, lineage, terms)
    session = _session(mandate)
    approver = approver_names(world.pins, capability)
    names = revocable_names(world, caller, mandate, hops, resolved.capability)
    judged = judged_under(world, names, resolved.capability)
    return Plan(
        epoch=world.epoch,
        identity=caller.identity,
        capability=capability,
        resolved=resolved,
        delegation_lineage=lineage,
        definition=definition,
        principals=_principals(mandate, current),
        session=session,
        judged=judged,
        accounts=task_accounts(mandate, session, hops, resolved.capability.tier),
        prepares=bool(world.registry.index.executing(capability.name)),
        subject=principal_subject(mandate.principal),
        by_clock=bool(approver and world.holds.standing(approver)),
        scopes=_scopes(judged, approver, capability),
    )


def _scopes(
    judged: Judged, approver: tuple[HoldTarget, ...], capability: Capability
) -> frozenset[ChangeScope]:
    """Return the scopes of every change that may make a plan another one: each name that the action acts under or may
    be held under, the tool, whose pin may change, and whoever approved it.

    Changes of documents, policies, offered tools and trust bundles have no scope: they may affect any plan.
    """
    named = {f"{kind}/{name}" for kind, name in (*judged.names, *judged.reach, *approver)}
    return frozenset(map(ChangeScope, {*named, f"tool/{capability.server}/{capability.target}"}))


def _at_hinted_tier(
    world: World, resolved: Resolved, definition: ToolDefinition, lineage: DelegationLineage, terms: PlanTerms
) -> Resolved:
    """Raise the tier to the server's hints if they are riskier than the owner's document, and check hop ages again."""
    hinted = at_hinted_tier(world.fits, resolved.capability, definition)
    if hinted is resolved.capability:
        return resolved
    check_age(lineage.hops, tier=hinted.tier, limits=terms.acting, now=terms.pinning.now)
    return replace(resolved, capability=hinted)


def _session(mandate: Mandate) -> tuple[Authority, ...]:
    """Return what the login behind a mandate allows."""
    try:
        return session_of(mandate) if mandate.id_token else ()
    except Malformed as fault:
        # A mandate accepted before this check existed. An unreadable session may be a bound, so refuse.
        raise Refused(fault.message, code=fault.code) from None


def _check_drift(world: World, caller: VerifiedCaller) -> None:
    """Raise Refused: `agent.drifted` if the instance differs from its manifest, if another manifest came into force
    since the proof, or if the offered tools differ; `manifest.*` if nobody answers for the manifest any more. Raises
    Unavailable (`upstream.unknown`) while the tools of a server have not been read since this process started.

    An agent without a manifest passes.
    """
    standing = standing_manifest(world, caller.agent)
    identity = caller.identity
    outdated = standing is not None and identity.instance and identity.manifest != standing.digest
    if identity.drifted or outdated:
        raise AGENT_DRIFTED(
            f"agent {shown(caller.agent)} differs from its manifest: run what the manifest states, or "
            "have its owner sign a new manifest"
        )
    # A list that this process has not read yet is no drift of the agent: nothing is done, and nothing counts.
    if server := unread_server(world, world.upstream, world.tools_seen, world.decision_point, caller.agent):
        require_listed(world.upstream, server)
    check_tools(world, world.upstream, world.tools_seen, world.decision_point, caller.agent)


def _with_tools_seen(world: World, caller: VerifiedCaller) -> VerifiedCaller:
    """Add what the gateway observes of the tools to the caller's identity, for policy and ledger. Tools that are not
    known yet mark nobody as drifted, and the manifest as claimed."""
    signed = world.manifests.current(caller.agent)
    if signed is None or not signed.manifest.tools_digest:
        return caller
    identity = caller.identity
    verdict = tools_verdict(world, world.upstream, world.tools_seen, world.decision_point, caller.agent)
    if verdict != "match":
        grade: Grade | Literal[""] = "claimed" if identity.manifest else ""
        drifted = identity.drifted or verdict == "differs"
        identity = structs.replace(identity, drifted=drifted, manifest_grade=grade)
    elif identity.manifest == signed.digest:
        identity = structs.replace(identity, manifest_fields=with_tools(identity.manifest_fields))
    else:
        return caller
    return structs.replace(caller, identity=identity)


def _principals(mandate: Mandate, current: RegistrySnapshot) -> tuple[PrincipalId, ...]:
    """Return the mandate's principals, the answerable person first: a schedule's owner answers for its mandates."""
    owner = schedule_owner(mandate.principal, current)
    return (PrincipalId(owner), mandate.principal) if owner else (mandate.principal,)
