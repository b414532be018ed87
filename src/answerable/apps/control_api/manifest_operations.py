"""Agent manifests: register a signed one, and read the one in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import manifest_answers as answers
from answerable.api.members import Token
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.identity.keys.compact_jws import TOKEN_CHARS_MAX
from answerable.core.identity.names.principal import agent_id
from answerable.core.registry.manifests.manifest import form_of
from answerable.core.registry.manifests.manifest_token import standing_fault
from answerable.errors import shown
from answerable.errors.codes.registry import AGENT_INACTIVE, MANIFEST_UNKNOWN
from answerable.flows.validity.observe_tools import observed_tools
from answerable.flows.workloads.register_manifest import register_manifest

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.registry.manifests.manifest_token import SignedManifest


@operation(
    "POST",
    "/v1/manifests",
    id="register_manifest",
    summary="Put a signed agent manifest into force",
    answer=answers.AgentManifest,
    body=Token,
)
async def put_manifest(call: Call) -> answers.AgentManifest:
    """Put a signed manifest into force."""
    token = call.members("token").text("token", chars_max=TOKEN_CHARS_MAX)
    return _manifest(
        call,
        await register_manifest(
            call.walk.recorder,
            call.walk.authority,
            call.walk.asking.under_way,
            call.walk.live,
            token,
            by=call.by,
        ),
    )


@operation(
    "GET",
    "/v1/agents/{name}/manifest",
    id="show_manifest",
    summary="The manifest of one agent that is in force",
    answer=answers.AgentManifest,
)
async def show_manifest(call: Call) -> answers.AgentManifest:
    """Return the agent's most recently registered manifest, and the fault if it is not in force."""
    agent = agent_id(call.path["name"])
    signed = call.walk.authority.manifests.current(agent)
    if signed is None:
        raise MANIFEST_UNKNOWN(f"there is no manifest of agent {shown(agent)}")
    return _manifest(call, signed)


@operation(
    "GET",
    "/v1/agents/{name}/tools",
    id="show_agent_tools",
    summary="The tools that the gateway offers one agent, as it sees them, and their digest",
    answer=answers.AgentTools,
)
async def show_tools(call: Call) -> answers.AgentTools:
    """Return the tools that the gateway offers an agent now, compared with its manifest."""
    agent = agent_id(call.path["name"])
    if agent not in call.walk.authority.registry.current.agents:
        raise AGENT_INACTIVE(f"agent {shown(agent)} is not active")
    seen = observed_tools(
        call.walk.authority, call.walk.verification.upstream, call.walk.policies.decision_point, agent
    )
    return answers.AgentTools(
        agent=agent,
        digest=seen.digest,
        grade="gateway",
        expected=seen.expected,
        verdict=seen.verdict,
        unseen=seen.why,
        tools=tuple(answers.OfferedTool(server=server, name=name) for server, name in seen.tools),
    )


def _manifest(call: Call, signed: SignedManifest) -> answers.AgentManifest:
    fault = standing_fault(signed, call.walk.authority.registry.current)
    return answers.AgentManifest(
        agent=signed.manifest.agent,
        digest=signed.digest,
        signed_by=signed.signed_by,
        signed_at=instant(signed.signed_at),
        fault=fault.message if fault is not None else "",
        manifest=form_of(signed.manifest),
        token=signed.token,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    put_manifest,
    show_manifest,
    show_tools,
)
