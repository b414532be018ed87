"""What is read of registers and other parts to find out what is in force: the parts of a walk, of a `World`, or of an
earlier moment rebuilt from a ledger. Everything here is synchronous and does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.canonical import JSONValue
    from answerable.core.containment.hold import Hold, HoldTarget
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.mandate.mandate import Mandate, MandateId, MandateState
    from answerable.core.mandate.revocation import Revocation, RevocationTarget
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.core.registry.tools.tool_pin import ToolPin


class CurrentRegistry(Protocol):
    """Provides a registry."""

    @property
    def current(self) -> RegistrySnapshot:
        """Everything that is active in the registry."""
        ...


class CurrentManifests(Protocol):
    """Provides the manifests in force."""

    def current(self, agent: AgentId) -> SignedManifest | None:
        """Return the manifest of an agent, or None."""
        ...


class ReadManifests(CurrentManifests, Protocol):
    """The same, from where a manifest may be unreadable."""

    def is_unreadable(self, agent: AgentId) -> bool:
        """Whether the manifest that was put last cannot be read."""
        ...


class CurrentPins(Protocol):
    """Provides the definitions of tools that are let through."""

    def current(self, server: str, tool: str) -> ToolPin | None:
        """Return the pin that was put last, or None; also None where that one cannot be read."""
        ...

    def is_unreadable(self, server: str, tool: str) -> bool:
        """Whether the pin that was put last cannot be read."""
        ...


class KnownMandates(Protocol):
    """Provides mandates."""

    def find(self, mandate: MandateId) -> Mandate | None:
        """Return a mandate, or None."""
        ...

    def state(self, mandate: MandateId) -> MandateState:
        """Return whether it is open."""
        ...


class Revoked(Protocol):
    """Provides revocations. Raises Unavailable where the state is uncertain."""

    def find(self, names: Collection[RevocationTarget]) -> Revocation | None:
        """Return the first revocation of any of these names, in the order of the names."""
        ...


class Held(Protocol):
    """Provides holds. Raises Unavailable where the state is uncertain."""

    def standing(self, names: Collection[HoldTarget]) -> tuple[Hold, ...]:
        """Return the holds on these names that are not lifted, expired or not."""
        ...


class Quotas(Protocol):
    """Provides the quotas of refusals."""

    def is_held(self, agent: AgentId, now: UnixMillis, mandate: str = "") -> bool:
        """Whether the agent has used up its quota, for all mandates or under this one."""
        ...


class OfferedTools(Protocol):
    """Provides what servers offer."""

    @property
    def generation(self) -> int:
        """A number that changes whenever the result of `tools` may have changed."""
        ...

    def definition(self, capability: Capability) -> ToolDefinition | None:
        """Return the definition of this capability's target; None while it is unknown."""
        ...

    def is_unread(self, capability: Capability) -> bool:
        """Whether this process has yet to read the list that this capability is defined by: it has read none since it
        started, or the server has announced another one."""
        ...

    def tools(self, server: str) -> Mapping[str, JSONValue] | None:
        """Return the tools that a server offers, by name; None while it has not listed any yet."""
        ...
