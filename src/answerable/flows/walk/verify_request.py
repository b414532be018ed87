"""Step 2 of the walk: from a proved caller and an untrusted request to a verified request."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from msgspec import structs

from answerable.core.action.request import VerifiedRequest
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.subject import named_subject, principal_subject
from answerable.core.mandate.token_life import check_age
from answerable.core.registry.documents.destination import destinations_of
from answerable.core.registry.documents.pointing import named_arguments
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.action import ARGUMENTS_INVALID, RESOURCE_UNKNOWN_REFUSED
from answerable.errors.codes.registry import AGENT_DRIFTED, CAPABILITY_UNKNOWN
from answerable.errors.codes.tlog import PROOF_OTHER_MESSAGE
from answerable.flows.validity.mandate_validity import known_session, schedule_owner
from answerable.flows.validity.manifest_standing import standing_manifest
from answerable.flows.validity.observe_tools import tools_fault, with_tools
from answerable.flows.validity.verify_lineage import verify_lineage
from answerable.flows.walk.find_prepared import check_executed, with_prepared
from answerable.flows.walk.may_act import (
    active_agent,
    check_quota,
    check_tools,
    given_fault,
    offered_definition,
)
from answerable.flows.walk.note_unregistered import note_unregistered
from answerable.flows.walk.pin_tools import at_hinted_tier

if TYPE_CHECKING:
    from answerable.core.action.prepared import Executed
    from answerable.core.action.request import ActionRequest
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.snapshot.resolve import Resolved
    from answerable.flows.state.walk import Walk


def verify_request(walk: Walk, request: ActionRequest, caller: VerifiedCaller) -> VerifiedRequest:
    """Check that the proof covers this request, and that agent, capability, mandate and arguments are known and fit.

    Raises Unverified (`proof.other_message`) when the proof was over other bytes; Refused for everything else, with
    `agent.inactive`, `agent.drifted`, `manifest.*`, `held.agent`, `held.mandate`, `capability.unknown`,
    `capability.ceiling`, `mandate.unknown`, `mandate.other_agent`, `mandate.other_shard`, `mandate.beyond_giver`,
    `mandate.session`, `upstream.unknown`, what `pin_fault` says, `arguments.invalid`, `resource.unknown`,
    `destination.unknown`, `destination.invalid`, `delegation.*` for what was handed on, and `prepared.*` as
    `with_prepared` says.
    """
    caller, resolved, delegation_lineage = _granted(walk, request, caller)
    # From here on only what was frozen counts, whatever became of the caller's own object.
    request, prepared = with_prepared(walk, request, caller, resolved.capability, delegation_lineage)
    return _fitting(walk, request, caller, resolved, delegation_lineage, prepared)


def verify_again(walk: Walk, verified: VerifiedRequest, caller: VerifiedCaller) -> VerifiedRequest:
    """What was verified, by all that is in force now. caller: as it was proved. What is prepared is this action's by
    now. Raises as `verify_request`."""
    caller, resolved, delegation_lineage = _granted(walk, verified.request, caller)
    check_executed(walk, verified.prepared, caller, delegation_lineage)
    return _fitting(walk, verified.request, caller, resolved, delegation_lineage, verified.prepared)


def _granted(
    walk: Walk, request: ActionRequest, caller: VerifiedCaller
) -> tuple[VerifiedCaller, Resolved, DelegationLineage]:
    """What does not depend on the arguments: whose this is, what it would use, and under what."""
    if not hmac.compare_digest(request.message_digest, caller.message_digest):
        raise PROOF_OTHER_MESSAGE()
    if active_agent(walk, caller.agent).drift == "refuse":
        _check_drift(walk, caller)
    caller = _with_tools_seen(walk, caller)
    check_quota(walk, caller.agent, caller.at, request.mandate_id or "")
    resolved = walk.registry.index.resolve(request.server, request.method, request.target)
    if resolved is None:
        note_unregistered(walk, caller, request.server, request.target)
        raise CAPABILITY_UNKNOWN(
            f"no active capability stands for {shown(request.target)} on {shown(request.server)}"
        )
    delegation_lineage = verify_lineage(
        walk,
        caller,
        mandate_id=request.mandate_id,
        delegation=request.delegation,
        server=request.server,
        now=walk.clock.now() if request.delegation else caller.at,
    )
    mandate = delegation_lineage.mandate
    check_quota(walk, caller.agent, caller.at, mandate.id)
    check_age(
        delegation_lineage.hops, tier=resolved.capability.tier, limits=walk.acting, now=walk.clock.now()
    )
    agents = (caller.agent, *(hop.agent for hop in delegation_lineage.hops))
    fault = given_fault(mandate, resolved.capability.name, agents, walk.registry.current)
    if fault is not None:
        raise fault
    return caller, resolved, delegation_lineage


def _fitting(
    walk: Walk,
    request: ActionRequest,
    caller: VerifiedCaller,
    resolved: Resolved,
    delegation_lineage: DelegationLineage,
    prepared: Executed | None,
) -> VerifiedRequest:
    arguments, mandate = request.arguments, delegation_lineage.mandate
    definition = _checked_definition(walk, arguments, resolved)
    resolved = _at_hinted_tier(walk, resolved, definition, delegation_lineage)
    arguments = named_arguments(resolved.capability.arguments, arguments)
    return VerifiedRequest(
        request=request,
        caller=caller,
        resolved=resolved,
        mandate=mandate,
        principals=_principals(mandate, walk),
        arguments=arguments,
        resource_id=_resource_id(arguments, resolved),
        subject=_subject(arguments, resolved, mandate),
        definition=definition,
        destinations=_destinations(arguments, resolved),
        hops=delegation_lineage.hops,
        session=_session(walk, mandate),
        prepared=prepared,
    )


def _at_hinted_tier(
    walk: Walk, resolved: Resolved, definition: ToolDefinition, delegation_lineage: DelegationLineage
) -> Resolved:
    """Where a server says that its tool is riskier than the owner wrote, all that depends on the tier asks for that."""
    hinted = at_hinted_tier(walk, resolved.capability, definition)
    if hinted is resolved.capability:
        return resolved
    check_age(delegation_lineage.hops, tier=hinted.tier, limits=walk.acting, now=walk.clock.now())
    return replace(resolved, capability=hinted)


def _session(walk: Walk, mandate: Mandate) -> tuple[Authority, ...]:
    try:
        return known_session(walk, mandate)
    except Malformed as fault:
        # Of a mandate that was taken in before anybody asked: what cannot be read may be a bound.
        raise Refused(fault.message, code=fault.code) from None


def _check_drift(walk: Walk, caller: VerifiedCaller) -> None:
    """Raises Refused: `agent.drifted`, also where another manifest came into force since the proof, and where the tools
    offered are others than the manifest says, whoever calls; and `manifest.*` for one that nobody answers for any more.
    An agent without one is none of this."""
    standing = standing_manifest(walk, caller.agent)
    identity = caller.identity
    outdated = standing is not None and identity.instance and identity.manifest != standing.digest
    if identity.drifted or outdated:
        raise AGENT_DRIFTED(
            f"agent {shown(caller.agent)} differs from its manifest: its owner signs what runs, or what is signed runs"
        )
    check_tools(walk, caller.agent)


def _with_tools_seen(walk: Walk, caller: VerifiedCaller) -> VerifiedCaller:
    """Whoever proved himself could not know what the gateway sees of the tools; policy and ledger do from here on."""
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


def _checked_definition(walk: Walk, arguments: dict[str, JSONValue], resolved: Resolved) -> ToolDefinition:
    definition = offered_definition(walk, resolved.capability)
    violations = definition.violations(arguments)
    if violations:
        raise ARGUMENTS_INVALID(f"arguments do not fit: {'; '.join(violations[:3])}", reasons=violations[:8])
    return definition


def _subject(arguments: dict[str, JSONValue], resolved: Resolved, mandate: Mandate) -> str:
    """Whose data it is: what the capability says, and the mandate's principal where it says nothing."""
    mapping = resolved.capability.subject
    # An argument may have any name, the empty one too, which is no mapping.
    name = _id_in(mapping.argument, arguments, resolved) if mapping.argument else ""
    return named_subject(mapping.type, name) if name else principal_subject(mandate.principal)


def _resource_id(arguments: dict[str, JSONValue], resolved: Resolved) -> str:
    mapping = resolved.capability.resource
    if not mapping.argument:
        return mapping.fixed
    name = _id_in(mapping.argument, arguments, resolved)
    if not name:
        raise RESOURCE_UNKNOWN_REFUSED(
            f"argument {shown(mapping.argument)} must name what is touched, as text or integer"
        )
    return name


def _principals(mandate: Mandate, walk: Walk) -> tuple[PrincipalId, ...]:
    """The person who answers first: the owner of a schedule answers for what it gives."""
    owner = schedule_owner(mandate.principal, walk.registry.current)
    return (PrincipalId(owner), mandate.principal) if owner else (mandate.principal,)


def _destinations(arguments: dict[str, JSONValue], resolved: Resolved) -> tuple[str, ...]:
    """What cannot be read as one place, the upstream might read as another, whatever the mandate says of places."""
    mapping = resolved.capability.destination
    if not mapping.type:
        return ()
    try:
        return destinations_of(mapping, arguments, dict(resolved.variables))
    except Malformed as fault:
        raise Refused(fault.message, code=fault.code) from None


def _id_in(argument: str, arguments: dict[str, JSONValue], resolved: Resolved) -> str:
    """What an argument, or the part of the target that is called so, names; empty when it names nothing."""
    value = dict(resolved.variables).get(argument, arguments.get(argument))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
