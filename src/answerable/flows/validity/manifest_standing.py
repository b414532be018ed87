"""Return an agent's signed manifest if it is valid in the current registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from answerable.core.registry.manifests.manifest_token import standing_fault
from answerable.errors import shown
from answerable.errors.codes.registry import MANIFEST_UNREADABLE

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.ports.parts_in_force import CurrentRegistry, ReadManifests


class ManifestSources(Protocol):
    """What manifests are read from: the registers as they are now, or a World."""

    @property
    def registry(self) -> CurrentRegistry:
        """The registry."""
        ...

    @property
    def manifests(self) -> ReadManifests:
        """The manifests of agents."""
        ...


def standing_manifest(authority: ManifestSources, agent: AgentId) -> SignedManifest | None:
    """Return the agent's manifest if it is valid in the current registry; None if the agent has none. Does no I/O.

    Raises Refused as `standing_fault` says if a manifest was registered and is no longer valid: such an agent must not
    pass as one without a manifest.
    """
    signed = authority.manifests.current(agent)
    if signed is None:
        if authority.manifests.is_unreadable(agent):
            raise MANIFEST_UNREADABLE(
                f"the stored manifest of agent {shown(agent)} cannot be read: have its owner sign it "
                "again, and see `answerable doctor`"
            )
        return None
    fault = standing_fault(signed, authority.registry.current)
    if fault is not None:
        raise fault
    return signed
