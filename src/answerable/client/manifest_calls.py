"""Operations of the control API on the subject `manifest`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.manifest_answers import AgentManifest, AgentTools
from answerable.api.members import Token
from answerable.client.transport import READ_SECONDS_MAX, WAIT_SECONDS_MAX, Transport, segment


def register_manifest(
    control: Transport, body: Token, *, seconds_max: float = WAIT_SECONDS_MAX
) -> AgentManifest:
    """Put a signed agent manifest into force."""
    return control.answer_as(AgentManifest, "POST", "/v1/manifests", body=body, seconds_max=seconds_max)


def show_manifest(control: Transport, name: str, *, seconds_max: float = READ_SECONDS_MAX) -> AgentManifest:
    """The manifest of one agent that is in force."""
    return control.answer_as(
        AgentManifest, "GET", f"/v1/agents/{segment(name)}/manifest", seconds_max=seconds_max
    )


def show_agent_tools(control: Transport, name: str, *, seconds_max: float = READ_SECONDS_MAX) -> AgentTools:
    """The tools that the gateway offers one agent, as it sees them, and their digest."""
    return control.answer_as(AgentTools, "GET", f"/v1/agents/{segment(name)}/tools", seconds_max=seconds_max)
