"""Tools of upstream servers, and which of their definitions are approved."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from answerable.api.members import Component, Count, Digest, Instant, Part, words
from answerable.core.registry.tools.tool_pin import PinSource, ToolStanding


class Tool(Component, frozen=True, kw_only=True):
    """A tool of a server. offered, pinned: digests of the definition offered now and of the one in force; empty
    for none."""

    server: str
    name: str
    capability: str
    standing: ToolStanding
    offered: Annotated[str, Meta(extra_json_schema={"pattern": "^(?:[0-9a-f]{64})?$"})]
    pinned: Annotated[str, Meta(extra_json_schema={"pattern": "^(?:[0-9a-f]{64})?$"})]
    source: Annotated[str, words("document", "owner", "first_sight", "")]
    blocked: str
    tier: Count | None
    unhinted_accepted: bool


class ToolPin(Component, frozen=True, kw_only=True):
    """The definition in force of one tool. text: canonical JSON, of which definition is the digest."""

    server: str
    name: str
    definition: Digest
    source: PinSource
    signed_by: str
    at: Instant
    text: Annotated[str, Meta(description="canonical JSON; its SHA-256 is the digest")]


class ToolChange(Part, frozen=True, kw_only=True):
    """One difference from the definition in force."""

    kind: str
    text: str
    grave: bool


class ToolWeight(Part, frozen=True, kw_only=True):
    """Something to consider in the whole definition."""

    text: str
    grave: bool


class ToolShown(Component, frozen=True, kw_only=True):
    """A tool with both of its definitions. neighbours: pairs of a server and a tool."""

    tool: Tool
    text: Annotated[str, Meta(description="canonical JSON; its SHA-256 is the digest")] | None
    pin: ToolPin | None
    changes: tuple[ToolChange, ...]
    weight: tuple[ToolWeight, ...]
    neighbours: tuple[Annotated[tuple[str, ...], Meta(extra_json_schema={"minItems": 2, "maxItems": 2})], ...]
