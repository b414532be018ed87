"""Port: the signed manifests of agents, current and past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.registry.manifests.manifest_token import SignedManifest


class ManifestRegister(Protocol):
    """Promises: what `put` stored is on stable storage when it returns and every later `current` sees it; `current` is
    synchronous and does no I/O; nothing stored is ever changed or removed; of two manifests put concurrently for one
    agent, in any processes, the one signed later is in force in the end.

    The register verifies nothing: `standing_manifest` decides whether a manifest is valid. Raises only Unavailable
    (`register.*`) and, from `put`, Malformed (`manifest.older`).
    """

    def put(self, signed: SignedManifest) -> None:
        """Put the manifest into force for its agent. The same token again changes nothing.

        Raises Malformed (`manifest.older`) unless it was signed after the one in force, so that an old manifest cannot
        be replayed.
        """
        ...

    def current(self, agent: AgentId) -> SignedManifest | None:
        """Return the manifest that was put last, or None; also None where that one cannot be read."""
        ...

    def is_unreadable(self, agent: AgentId) -> bool:
        """Whether the manifest that was put last cannot be read, which is not the same as having none. Without I/O."""
        ...

    def changes(self) -> int:
        """Return a counter of manifests that came into force, in this process and, as far as known, in others; it
        changes as soon as `current` changes for any agent. Synchronous, without I/O."""
        ...

    def history(self, agent: AgentId) -> Sequence[SignedManifest]:
        """Return every manifest of the agent, newest first. May read."""
        ...
