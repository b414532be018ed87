"""Note sightings of unregistered servers, tools and agents, without I/O. The request itself is refused anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.action.token_shapes import hidden_in
from answerable.core.registry.snapshot.unregistered import stranger_name

if TYPE_CHECKING:
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.workload.evidence import Evidence
    from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
    from answerable.ports.clock import Clock
    from answerable.ports.registry_store import RegistryStore


def note_unregistered(
    registry: RegistryStore,
    sightings: DiscoveredAssets,
    caller: VerifiedCaller,
    server: str,
    target: str = "",
) -> None:
    """Note a server that is not registered, or a tool of a registered server. Never raises.

    Credentials in the name are hidden, because the name is written down.
    """
    is_server = server not in registry.current.servers
    if not is_server and not target:
        # The server was registered a moment ago.
        return
    name = server if is_server else f"{server}/{target}"
    plain, _ = hidden_in(name.encode("utf-8", "replace"))
    sightings.note(
        "server" if is_server else "tool",
        plain.decode(),
        caller.at,
        source=f"agent {caller.agent}",
        grade="gateway",
        how="asked for",
    )


def note_stranger(sightings: DiscoveredAssets, clock: Clock, evidence: Evidence) -> None:
    """Note a workload that asked to be enrolled and belongs to no agent. Never raises.

    Only proved evidence is noted. Each source of evidence has its own limit of sightings, so that one source cannot
    displace those of another.
    """
    sightings.note(
        "agent",
        stranger_name(evidence),
        clock.now(),
        source=f"enrolment by {evidence.source}",
        grade=evidence.grade,
        how="asked to be enrolled",
    )
