"""Holding what was measured of an instance against the manifest that its agent's owner signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.registry.manifest_drift import drift, drifted_fields
from answerable.errors import Refused, shown
from answerable.flows.register_manifest import standing_manifest

if TYPE_CHECKING:
    from answerable.core.registry.documents import Agent
    from answerable.core.registry.manifest_drift import Measured
    from answerable.flows.workloads import Workloads


def compared(
    workloads: Workloads, agent: Agent, measured: Measured | None, *, refusing: bool = True
) -> tuple[str, tuple[str, ...]]:
    """Digest of the manifest in force, empty without one, and the names of its fields whose measurement differs.

    Without a measurement nothing differs. Raises Refused: `manifest.drifted` where the agent's rule says so, unless not
    `refusing`; and as `standing_manifest` says, where one was registered that nobody answers for now.
    """
    if workloads.manifests is None:
        return "", ()
    standing = standing_manifest(workloads.walk, agent.name)
    if standing is None:
        return "", ()
    if measured is None:
        return standing.digest, ()
    names = drifted_fields(drift(standing.manifest, measured))
    if names and refusing and agent.drift == "refuse":
        raise Refused(
            f"agent {shown(agent.name)} differs from its manifest: {', '.join(names)}",
            code="manifest.drifted",
            reasons=tuple(f"{name} differs from the manifest" for name in names),
        )
    return standing.digest, names
