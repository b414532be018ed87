"""What was seen at work and is not registered."""

from __future__ import annotations

from typing import Annotated

from answerable.api.members import Component, Count, Instant, Part, words
from answerable.core.identity.workload.evidence import Grade
from answerable.core.registry.snapshot.discovered_asset import SightingKind


class Sighting(Component, frozen=True, kw_only=True):
    """Something that was seen at work."""

    kind: SightingKind
    name: str
    source: str
    grade: Grade
    how: str
    blocked: Annotated[str, words("everywhere", "here")]
    first: Instant
    last: Instant
    count: Count


class ConfiguredServer(Part, frozen=True, kw_only=True):
    """A server that the configuration of an MCP client names."""

    name: str
    reached: str
    where: str


class ServerReport(Component, frozen=True, kw_only=True):
    """Servers in the configuration of an agent's client; they replace those of an earlier report."""

    agent: str
    servers: tuple[ConfiguredServer, ...]


class ServersReported(Component, frozen=True, kw_only=True):
    """How many of the reported servers are not registered."""

    agent: str
    unregistered: Count
