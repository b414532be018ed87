"""Operations of the control API on the subject `registry`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.members import Page
from answerable.api.registry_answers import (
    Agent,
    Applied,
    Capability,
    Documents,
    Registered,
    RegistryCheck,
    Server,
    Template,
)
from answerable.client.transport import (
    READ_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    Transport,
    given,
    items_of,
    segment,
)


def list_documents(control: Transport, *, kind: str | None = None) -> Iterator[Registered]:
    """Registered documents, active or not."""
    return items_of(control, Page[Registered], "/v1/registry", query=given(kind=kind))


def check_registry(control: Transport, *, seconds_max: float = READ_SECONDS_MAX) -> RegistryCheck:
    """What is missing before things become active, and what should be looked at."""
    return control.answer_as(RegistryCheck, "GET", "/v1/registry/check", seconds_max=seconds_max)


def plan_documents(control: Transport, body: Documents, *, seconds_max: float = WAIT_SECONDS_MAX) -> Applied:
    """What applying documents would change; changes nothing."""
    return control.answer_as(Applied, "POST", "/v1/registry/plan", body=body, seconds_max=seconds_max)


def apply_documents(control: Transport, body: Documents, *, seconds_max: float = WAIT_SECONDS_MAX) -> Applied:
    """Put documents into force, all or none."""
    return control.answer_as(Applied, "POST", "/v1/registry/apply", body=body, seconds_max=seconds_max)


def show_document(
    control: Transport, kind: str, name: str, *, seconds_max: float = READ_SECONDS_MAX
) -> Registered:
    """One registered document."""
    return control.answer_as(
        Registered, "GET", f"/v1/registry/{segment(kind)}/{segment(name)}", seconds_max=seconds_max
    )


def list_agents(control: Transport) -> Iterator[Agent]:
    """Registered agents, active or not."""
    return items_of(control, Page[Agent], "/v1/agents")


def list_servers(control: Transport) -> Iterator[Server]:
    """Upstream servers and how they are."""
    return items_of(control, Page[Server], "/v1/servers")


def list_capabilities(control: Transport) -> Iterator[Capability]:
    """Registered capabilities, active or not."""
    return items_of(control, Page[Capability], "/v1/capabilities")


def list_templates(control: Transport) -> Iterator[Template]:
    """Mandate templates, active or not."""
    return items_of(control, Page[Template], "/v1/templates")


def show_template(control: Transport, name: str, *, seconds_max: float = READ_SECONDS_MAX) -> Template:
    """One mandate template."""
    return control.answer_as(Template, "GET", f"/v1/templates/{segment(name)}", seconds_max=seconds_max)
