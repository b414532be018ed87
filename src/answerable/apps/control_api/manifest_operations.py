"""Agent manifests: register a signed one, and read the one in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant
from answerable.apps.control_api.schemas import COUNT, DIGEST, INSTANT, TEXT, Schema, choice, record
from answerable.core.identity.keys.compact_jws import TOKEN_CHARS_MAX
from answerable.core.identity.names.principal import agent_id
from answerable.core.registry.manifests.manifest import MANIFEST_FIELDS, form_of
from answerable.core.registry.manifests.manifest_token import standing_fault
from answerable.errors import shown
from answerable.errors.codes.registry import AGENT_INACTIVE, MANIFEST_UNKNOWN
from answerable.flows.validity.observe_tools import observed_tools
from answerable.flows.workloads.register_manifest import register_manifest

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.registry.manifests.manifest_token import SignedManifest


async def put_manifest(call: Call) -> Answer:
    """Put a signed manifest into force."""
    token = call.members("token").text("token", chars_max=TOKEN_CHARS_MAX)
    return _manifest(call, await register_manifest(call.walk, token, by=call.by))


async def show_manifest(call: Call) -> Answer:
    """Return the agent's most recently registered manifest, and the fault if it is not in force."""
    agent = agent_id(call.path["name"])
    signed = call.walk.manifests.current(agent)
    if signed is None:
        raise MANIFEST_UNKNOWN(f"there is no manifest of agent {shown(agent)}")
    return _manifest(call, signed)


async def show_tools(call: Call) -> Answer:
    """Return the tools that the gateway offers an agent now, compared with its manifest."""
    agent = agent_id(call.path["name"])
    if agent not in call.walk.registry.current.agents:
        raise AGENT_INACTIVE(f"agent {shown(agent)} is not active")
    seen = observed_tools(call.walk, agent)
    return {
        "agent": agent,
        "digest": seen.digest,
        "grade": "gateway",
        "expected": seen.expected,
        "verdict": seen.verdict,
        "unseen": seen.why,
        "tools": [{"server": server, "name": name} for server, name in seen.tools],
    }


def _manifest(call: Call, signed: SignedManifest) -> Answer:
    fault = standing_fault(signed, call.walk.registry.current)
    return {
        "agent": signed.manifest.agent,
        "digest": signed.digest,
        "signed_by": signed.signed_by,
        "signed_at": instant(signed.signed_at),
        "fault": fault.message if fault is not None else "",
        "manifest": form_of(signed.manifest),
        "token": signed.token,
    }


_FORM: Final[dict[str, Schema]] = {
    "v": COUNT,
    "agent": TEXT,
    **{name: COUNT if name == "tier" else TEXT for name in MANIFEST_FIELDS},
}

COMPONENTS: Final[dict[str, Schema]] = {
    "AgentManifest": record(
        {
            "agent": TEXT,
            "digest": DIGEST,
            "signed_by": TEXT,
            "signed_at": INSTANT,
            "fault": TEXT,
            "manifest": record(_FORM, optional=("executable_digest",)),
            "token": TEXT,
        }
    ),
    "AgentTools": record(
        {
            "agent": TEXT,
            "digest": TEXT,
            "grade": choice("gateway"),
            "expected": TEXT,
            "verdict": choice("match", "differs", "unmeasured"),
            "unseen": TEXT,
            "tools": {"type": "array", "items": record({"server": TEXT, "name": TEXT})},
        }
    ),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="register_manifest",
        method="POST",
        path="/v1/manifests",
        summary="Put a signed agent manifest into force",
        body="Token",
        answer="AgentManifest",
        run=put_manifest,
    ),
    Operation(
        id="show_manifest",
        method="GET",
        path="/v1/agents/{name}/manifest",
        summary="The manifest of one agent that is in force",
        answer="AgentManifest",
        run=show_manifest,
    ),
    Operation(
        id="show_agent_tools",
        method="GET",
        path="/v1/agents/{name}/tools",
        summary="The tools that the gateway offers one agent, as it sees them, and their digest",
        answer="AgentTools",
        run=show_tools,
    ),
)
