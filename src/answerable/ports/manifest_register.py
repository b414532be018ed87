"""Port: the signed manifests of agents, the one in force and those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.registry.manifests.manifest_token import SignedManifest


class ManifestRegister(Protocol):
    """Promises: what `put` took is on stable storage when it returns and every later `current` sees it; `current` is
    synchronous and does no I/O; nothing that was put is ever changed or removed; of two that are put at once for one
    agent, in whatever processes, the later signed one is in force in the end.

    It believes what it is given: whether a manifest stands, `standing_manifest` says. Raises only Unavailable
    (`register.*`) and, from `put`, Malformed (`manifest.older`).
    """

    def put(self, signed: SignedManifest) -> None:
        """Put it into force for its agent. The very same token again changes nothing.

        Raises Malformed (`manifest.older`) unless it was signed after the one in force: an old statement that somebody
        kept must not come back.
        """
        ...

    def current(self, agent: AgentId) -> SignedManifest | None:
        """The one that was put last, or None; also where that one cannot be read."""
        ...

    def is_unreadable(self, agent: AgentId) -> bool:
        """Whether the one that was put last cannot be read: this agent is not one without a manifest. Without
        I/O."""
        ...

    def changes(self) -> int:
        """How many came into force, here and as far as is known in other processes: another number as soon as `current`
        says something else of any agent. Synchronous, without I/O."""
        ...

    def history(self, agent: AgentId) -> Sequence[SignedManifest]:
        """Every one, newest first. May read."""
        ...
