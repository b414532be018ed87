"""Manifests of agents, and the tools that they are offered."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta

from answerable.api.members import Component, Digest, Instant, Part, words

_TEXTS: Final = (
    "model_name", "model_version", "prompt_digest", "tools_digest", "framework_name", "framework_version",
    "code_digest", "image_digest", "executable_digest", "environment",
)  # fmt: skip
_ADDED: Final = "executable_digest"
"""Absent from manifests that do not state it."""
_MEMBERS: Final[dict[str, dict[str, str | int]]] = {
    "v": {"type": "integer", "minimum": 0},
    "agent": {"type": "string"},
    **{name: {"type": "string"} for name in _TEXTS},
    "tier": {"type": "integer", "minimum": 0},
}
ManifestForm: TypeAlias = Annotated[
    dict[str, Any],
    Meta(
        extra_json_schema={
            "properties": _MEMBERS,
            "required": [name for name in _MEMBERS if name != _ADDED],
            "additionalProperties": False,
        }
    ),
]
"""What an agent is made of, as it was signed. Read with members that are not known here: its digest is of all."""


class AgentManifest(Component, frozen=True, kw_only=True):
    """A signed manifest. fault: why it is not in force; empty where it is."""

    agent: str
    digest: Digest
    signed_by: str
    signed_at: Instant
    fault: str
    manifest: ManifestForm
    token: str


class OfferedTool(Part, frozen=True, kw_only=True):
    """A tool that is offered."""

    server: str
    name: str


class AgentTools(Component, frozen=True, kw_only=True):
    """The tools that an agent is offered now, compared with its manifest."""

    agent: str
    digest: str
    grade: Annotated[str, words("gateway")]
    expected: str
    verdict: Annotated[str, words("match", "differs", "unmeasured")]
    unseen: str
    tools: tuple[OfferedTool, ...]
