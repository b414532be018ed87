"""Cache the measurements of the tools that agents are offered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.registry.manifests.manifest_drift import ObservedTools
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


@dataclass(slots=True, kw_only=True)
class ToolsSeen:
    """Cached measurements of tools, for one registry, one policy set and one generation of the upstreams.

    `policies`: the policy set, by identity. `by_agent`: with the manifest they were compared with.
    """

    snapshot: RegistrySnapshot | None = None
    policies: object = None
    generation: int = -1
    by_agent: dict[AgentId, tuple[SignedManifest, ObservedTools]] = field(default_factory=dict)
