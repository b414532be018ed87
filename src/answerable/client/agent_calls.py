"""Operations of the control API on the subject `agent`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.agent_answers import (
    AgentState,
    Instance,
    InstanceEnd,
    InstanceEndRequest,
    JoinToken,
    JoinTokenRequest,
    StandingChange,
    StandingRequest,
)
from answerable.api.members import Page
from answerable.client.transport import (
    READ_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    Transport,
    given,
    items_of,
    segment,
)


def show_agent(control: Transport, name: str, *, seconds_max: float = READ_SECONDS_MAX) -> AgentState:
    """One agent: what it is known by, and how much of it runs."""
    return control.answer_as(AgentState, "GET", f"/v1/agents/{segment(name)}", seconds_max=seconds_max)


def set_agent_standing(
    control: Transport, name: str, body: StandingRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> StandingChange:
    """Suspend, resume or retire an agent; ends its instances, and for a retired one closes its mandates."""
    return control.answer_as(
        StandingChange, "POST", f"/v1/agents/{segment(name)}/standing", body=body, seconds_max=seconds_max
    )


def make_join_token(
    control: Transport, name: str, body: JoinTokenRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> JoinToken:
    """A token that enrols one new workload of this agent, once."""
    return control.answer_as(
        JoinToken, "POST", f"/v1/agents/{segment(name)}/join-tokens", body=body, seconds_max=seconds_max
    )


def list_instances(control: Transport, *, agent: str | None = None) -> Iterator[Instance]:
    """Running instances, newest first."""
    return items_of(control, Page[Instance], "/v1/instances", query=given(agent=agent))


def end_instance(
    control: Transport, body: InstanceEndRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> InstanceEnd:
    """End one instance and its sub-agents; its process is not let in again as it runs."""
    return control.answer_as(InstanceEnd, "POST", "/v1/instances/end", body=body, seconds_max=seconds_max)
