"""Verify a request (step 2 of the walk): from a proved caller and an untrusted request to a verified request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from answerable.core.action.request import VerifiedRequest
from answerable.core.ledger.subject import named_subject
from answerable.core.registry.documents.destination import destinations_of
from answerable.core.registry.documents.pointing import named_arguments
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.action import ARGUMENTS_INVALID, RESOURCE_UNKNOWN_REFUSED
from answerable.flows.walk.find_plan import find_plan
from answerable.flows.walk.find_prepared import check_executed, with_prepared

if TYPE_CHECKING:
    from answerable.core.action.prepared import Executed
    from answerable.core.action.quota import RefusalQuota
    from answerable.core.action.request import ActionRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.registry.snapshot.resolve import Resolved
    from answerable.flows.state.steps import Planning
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.flows.state.worlds import Verification
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.worlds import Plan


def verify_request(
    planning: Planning,
    quota: RefusalQuota,
    ledger: Ledger,
    limits: WalkLimits,
    request: ActionRequest,
    caller: VerifiedCaller,
) -> VerifiedRequest:
    """Check that the proof covers this request, and that agent, capability, mandate and arguments are known and valid.

    Raises as `find_plan` and `verify` do.
    """
    plan = find_plan(planning, quota, ledger, limits, request, caller)
    return verify(planning, limits, plan, request, caller)


def verify(
    planning: Planning, limits: WalkLimits, plan: Plan, request: ActionRequest, caller: VerifiedCaller
) -> VerifiedRequest:
    """Check the arguments against a plan that was just found for this request and caller.

    Raises Refused: `arguments.invalid`, `resource.unknown`, `destination.unknown`, `destination.invalid`, and
    `prepared.*` as `with_prepared` says; Unavailable.
    """
    if caller.identity is not plan.identity:
        caller = _as_seen(caller, plan)
    if plan.capability.executes is None and not plan.prepares:
        return _fitting(plan, request, caller, None)
    request, prepared = with_prepared(
        planning.authority.registry,
        planning.verification,
        limits,
        planning.authority.clock,
        request,
        caller,
        plan.capability,
        plan.delegation_lineage,
    )
    return _fitting(plan, request, caller, prepared)


def verify_again(
    registry: RegistryStore,
    verification: Verification,
    plan: Plan,
    verified: VerifiedRequest,
    caller: VerifiedCaller,
) -> VerifiedRequest:
    """Verify a verified request again by what is in force now. Raises as `verify`.

    `plan`: found now. `caller`: as proved. The prepared object is already used by this action.
    """
    caller = _as_seen(caller, plan)
    check_executed(registry, verification, verified.prepared, caller, plan.delegation_lineage)
    return _fitting(plan, verified.request, caller, verified.prepared)


def _as_seen(caller: VerifiedCaller, plan: Plan) -> VerifiedCaller:
    """Return the caller with the plan's identity, which includes what the gateway observed of its tools."""
    if caller.identity == plan.identity:
        return caller
    return structs.replace(caller, identity=plan.identity)


def _fitting(
    plan: Plan, request: ActionRequest, caller: VerifiedCaller, prepared: Executed | None
) -> VerifiedRequest:
    arguments, resolved, lineage = request.arguments, plan.resolved, plan.delegation_lineage
    violations = plan.definition.violations(arguments)
    if violations:
        raise ARGUMENTS_INVALID(
            f"arguments do not match the tool's schema: {'; '.join(violations[:3])}", reasons=violations[:8]
        )
    capability, subject = resolved.capability, plan.subject
    for mapping in capability.arguments:
        if mapping.pointer:
            arguments = named_arguments(capability.arguments, arguments)
            break
    resource = arguments.get(capability.resource.argument) if not resolved.variables else None
    if type(resource) is not str or not resource or not capability.resource.argument:
        resource = _resource_id(arguments, resolved)
    # An argument may have any name, even the empty one, which means no mapping.
    if capability.subject.argument:
        subject = _subject(arguments, resolved) or subject
    return VerifiedRequest(
        request=request,
        caller=caller,
        resolved=resolved,
        mandate=lineage.mandate,
        principals=plan.principals,
        arguments=arguments,
        resource_id=resource,
        subject=subject,
        definition=plan.definition,
        destinations=_destinations(arguments, resolved) if capability.destination.type else (),
        hops=lineage.hops,
        session=plan.session,
        prepared=prepared,
    )


def _subject(arguments: dict[str, JSONValue], resolved: Resolved) -> str:
    """Return the data subject that the capability maps; empty where the argument names none."""
    mapping = resolved.capability.subject
    name = _id_in(mapping.argument, arguments, resolved)
    return named_subject(mapping.type, name) if name else ""


def _resource_id(arguments: dict[str, JSONValue], resolved: Resolved) -> str:
    mapping = resolved.capability.resource
    if not mapping.argument:
        return mapping.fixed
    name = _id_in(mapping.argument, arguments, resolved)
    if not name:
        raise RESOURCE_UNKNOWN_REFUSED(
            f"argument {shown(mapping.argument)} must name the resource, as text or integer"
        )
    return name


def _destinations(arguments: dict[str, JSONValue], resolved: Resolved) -> tuple[str, ...]:
    """Return the destinations. Refuse an ambiguous one: the upstream might take it for another place."""
    try:
        return destinations_of(resolved.capability.destination, arguments, dict(resolved.variables))
    except Malformed as fault:
        raise Refused(fault.message, code=fault.code) from None


def _id_in(argument: str, arguments: dict[str, JSONValue], resolved: Resolved) -> str:
    """Return the id that an argument or a target variable holds; empty if it holds none."""
    value = arguments.get(argument)
    if resolved.variables:
        value = dict(resolved.variables).get(argument, value)
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) else ""
