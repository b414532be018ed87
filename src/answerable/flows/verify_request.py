"""Step 2 of the walk: from a proved caller and an untrusted request to a verified request."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from answerable.core.action.request import VerifiedRequest
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Refused, Unverified, shown
from answerable.flows.mandate_standing import still_stands

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.caller import VerifiedCaller
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.resolve import Resolved
    from answerable.flows.walk import Walk


def verify_request(walk: Walk, request: ActionRequest, caller: VerifiedCaller) -> VerifiedRequest:
    """Check that the proof covers this request, and that agent, capability, mandate and arguments are known and fit.

    Raises Unverified (`proof.other_message`) when the proof was over other bytes; Refused for everything else, with
    `agent.inactive`, `agent.held`, `capability.unknown`, `mandate.unknown`, `mandate.other_agent`,
    `upstream.unknown`, `arguments.invalid`, `resource.unknown`.
    """
    if not hmac.compare_digest(request.message_digest, caller.message_digest):
        raise Unverified("the proof was made for another message", code="proof.other_message", step="proof")
    agent = walk.registry.current.agents.get(caller.agent)
    if agent is None or agent.status != "active":
        raise Refused(f"agent {shown(caller.agent)} is not active", code="agent.inactive")
    if walk.quota.is_held(caller.agent, caller.at):
        raise Refused(
            f"agent {shown(caller.agent)} is held: it was refused too often in this window", code="agent.held"
        )
    resolved = walk.registry.index.resolve(request.server, request.method, request.target)
    if resolved is None:
        raise Refused(
            f"no active capability stands for {shown(request.target)} on {shown(request.server)}",
            code="capability.unknown",
        )
    mandate = _mandate(walk, request, caller)
    # From here on only what was frozen counts, whatever became of the caller's own object.
    arguments = request.arguments
    _check_arguments(walk, arguments, resolved)
    return VerifiedRequest(
        request=request,
        caller=caller,
        resolved=resolved,
        mandate=mandate,
        principals=(mandate.principal,),
        arguments=arguments,
        resource_id=_resource_id(arguments, resolved),
    )


def _mandate(walk: Walk, request: ActionRequest, caller: VerifiedCaller) -> Mandate:
    if not request.mandate_id:
        raise Refused(
            "the request names no mandate: every action needs one, in the `Answerable-Mandate` header",
            code="mandate.missing",
        )
    mandate = walk.mandates.find(MandateId(request.mandate_id))
    if mandate is None:
        raise Refused(f"mandate {shown(request.mandate_id)} is not known", code="mandate.unknown")
    if mandate.agent != caller.agent:
        # Worded like the unknown one, so that an agent cannot probe for the mandates of others.
        raise Refused(f"mandate {shown(request.mandate_id)} is not known", code="mandate.other_agent")
    still_stands(walk, mandate)
    return mandate


def _check_arguments(walk: Walk, arguments: dict[str, JSONValue], resolved: Resolved) -> None:
    capability = resolved.capability
    definition = walk.upstream.definition(capability)
    if definition is None:
        raise Refused(
            f"server {shown(capability.server)} does not offer {shown(capability.target)} right now",
            code="upstream.unknown",
        )
    violations = definition.violations(arguments)
    if violations:
        raise Refused(
            f"arguments do not fit: {'; '.join(violations[:3])}",
            code="arguments.invalid",
            reasons=violations[:8],
        )


def _resource_id(arguments: dict[str, JSONValue], resolved: Resolved) -> str:
    mapping = resolved.capability.resource
    if not mapping.argument:
        return mapping.fixed
    value = arguments.get(mapping.argument)
    if resolved.variables:
        value = dict(resolved.variables).get(mapping.argument, value)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Refused(
        f"argument {shown(mapping.argument)} must name what is touched, as text or integer",
        code="resource.unknown",
    )
