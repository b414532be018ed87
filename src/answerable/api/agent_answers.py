"""Agents and their instances."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from answerable.api.members import Component, Count, Instant, Part, Texts, words
from answerable.core.identity.workload.evidence import Grade


class HoldOfAgent(Part, frozen=True, kw_only=True):
    """A hold in whose reach the agent is."""

    id: str
    kind: str
    name: str
    expires_at: Instant | None
    reason: str


class AgentState(Component, frozen=True, kw_only=True):
    """An agent and how much of it runs."""

    name: str
    active: bool
    attestation: tuple[Texts, ...]
    drift_rule: str
    instances: Count
    drifted: Count
    holds: tuple[HoldOfAgent, ...]


class StandingRequest(Component, frozen=True, kw_only=True):
    """The status to give."""

    status: Annotated[str, words("active", "suspended", "retired")]


class OutstandingSvid(Part, frozen=True, kw_only=True):
    """An SVID that third parties may still accept."""

    instance: str
    kind: Annotated[str, words("x509", "jwt", "wit")]
    serial: str
    expires_at: Instant


class StandingChange(Component, frozen=True, kw_only=True):
    """What a change of status ended. svids_all: whether the list is complete."""

    agent: str
    status: Annotated[str, words("active", "suspended", "retired")]
    changed: bool
    instances_ended: Texts
    mandates_closed: Texts
    x509_svids_valid_until: Instant | None
    jwt_svids_valid_until: Instant | None
    svids_outstanding: tuple[OutstandingSvid, ...]
    svids_all: bool


class KnownField(Part, frozen=True, kw_only=True):
    """A field of the manifest and how well it is known."""

    field: Annotated[
        str,
        words(
            "model_name",
            "model_version",
            "prompt_digest",
            "tools_digest",
            "framework_name",
            "framework_version",
            "code_digest",
            "image_digest",
            "executable_digest",
        ),
    ]
    says: str
    grade: Grade
    verdict: Annotated[str, words("match", "differs", "unmeasured")]


class Instance(Component, frozen=True, kw_only=True):
    """A running instance."""

    id: str
    agent: str
    source: str
    grade: Grade
    selectors: Texts
    parent: str
    process: str
    key: str
    manifest: str
    manifest_grade: Annotated[str, words("", "kernel", "sidecar", "gateway", "claimed")]
    made_of: tuple[KnownField, ...]
    drift: Texts
    enrolled_at: Instant
    expires_at: Instant


class InstanceEndRequest(Component, frozen=True, kw_only=True):
    """Which instance to end."""

    instance: str


class InstanceEnd(Component, frozen=True, kw_only=True):
    """What was ended. svids_all: whether the list is complete."""

    instance: str
    instances_ended: Texts
    x509_svids_valid_until: Instant | None
    jwt_svids_valid_until: Instant | None
    svids_outstanding: tuple[OutstandingSvid, ...]
    svids_all: bool


class JoinTokenRequest(Component, frozen=True, kw_only=True):
    """A label for the token, and how long it is valid."""

    label: str
    seconds: Count | UnsetType = UNSET


class JoinToken(Component, frozen=True, kw_only=True):
    """A token that enrols one workload."""

    token: str
    agent: str
    label: str
    expires_at: Instant
