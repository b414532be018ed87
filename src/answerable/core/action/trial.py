"""Build trial requests for policy tests: hypothetical actions that are decided and never carried out.

Laws: a trial is built entirely from a test's table and the registered capability; it contains no proof, so nothing that
requires a proof accepts it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.action.request import VerifiedRequest, action_request
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.caller import ProofKind, VerifiedCaller
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.delegation_chain import Hop
from answerable.core.mandate.hop_token import Confirmation
from answerable.core.registry.documents.destination import destinations_of
from answerable.core.registry.snapshot.resolve import Resolved
from answerable.errors import shown
from answerable.errors.codes.action import RESOURCE_UNKNOWN

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.capability import Capability

BINDING: Final = "trial"
_NO_MESSAGE: Final = b""
"""Placeholder digest: no message has it."""
_DEFINITION: Final = ToolDefinition(text=b"{}", digest=sha256(b"{}").hexdigest(), violations=lambda _: ())


def trial_request(
    capability: Capability,
    arguments: dict[str, JSONValue],
    *,
    mandate: Mandate,
    chain: tuple[str, ...],
    agent: str,
    identity: CallerIdentity,
    proof: ProofKind,
    resource: str | None,
    at: UnixMillis,
) -> VerifiedRequest:
    """Return the request as the verify step would have made it.

    chain: agents through which the task was handed on, the mandate's own agent first; empty for its own action.
    resource: None to take it from the arguments by the capability's mapping. Raises Malformed: `resource.unknown`,
    `destination.*`, `arguments.*`, `json.*`.
    """
    request = action_request(
        server=capability.server,
        method=capability.method,
        target=capability.target,
        arguments=arguments,
        mandate_id=mandate.id,
        message_digest=_NO_MESSAGE,
    )
    return VerifiedRequest(
        request=request,
        caller=VerifiedCaller(
            agent=AgentId(agent),
            proof=proof,
            binding=BINDING,
            sequence=0,
            message_digest=_NO_MESSAGE,
            at=at,
            identity=identity,
        ),
        resolved=Resolved(capability=capability),
        mandate=mandate,
        principals=(PrincipalId(mandate.principal),),
        arguments=request.arguments,
        resource_id=_resource(capability, request.arguments) if resource is None else resource,
        subject=BINDING,
        definition=_DEFINITION,
        destinations=destinations_of(capability.destination, request.arguments, {}),
        hops=tuple(_hop(depth, name, capability, mandate) for depth, name in enumerate(chain)),
    )


def _resource(capability: Capability, arguments: dict[str, JSONValue]) -> str:
    mapping = capability.resource
    if not mapping.argument:
        return mapping.fixed
    value = arguments.get(mapping.argument)
    if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
        return str(value)
    raise RESOURCE_UNKNOWN(f"the resource is unknown: give argument {shown(mapping.argument)}, or `resource`")


def _hop(depth: int, agent: str, capability: Capability, mandate: Mandate) -> Hop:
    """Return a hop that permits this capability and nothing else."""
    return Hop(
        jti=f"{BINDING}-{depth}",
        depth=depth,
        agent=agent,
        principal=mandate.principal,
        issuer=BINDING,
        audiences=(),
        confirmation=Confirmation(method="jkt", thumbprint=""),
        authority=Authority(scopes=(capability.name,)),
        not_before=mandate.not_before,
        expires_at=mandate.expires_at,
        form="online",
        mission=None,
        token=f"{BINDING}-{depth}",
        digest=b"",
    )
