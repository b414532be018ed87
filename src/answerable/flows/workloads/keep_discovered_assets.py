"""Store sightings of unregistered assets, in one write, and remove what is registered by now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.action.token_shapes import hidden_in
from answerable.core.registry.parsing.active import documents_in
from answerable.core.registry.parsing.parse import shapes_of
from answerable.core.registry.snapshot.discovered_asset import OTHERS, SOURCE_MAX, Sighting, printable
from answerable.core.registry.snapshot.unregistered import Registered, configured_name
from answerable.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.ports.clock import Clock
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.sightings import Sightings
    from answerable.ports.upstream import Upstream

OFFERED_AGAIN_MILLIS: Final = 3_600_000
"""Maximum age of an offered tool's `last`."""
SERVERS_MAX: Final = 500
"""Servers read from one client's configuration."""


@dataclass(slots=True, kw_only=True)
class Looked:
    """The last read of the servers' tool lists: registry, generation of the lists, and until when it is current."""

    snapshot: RegistrySnapshot | None = None
    generation: int = -1
    until: int = 0


def keep_discovered_assets(
    batch: DiscoveredAssets,
    sightings: Sightings,
    *,
    offered: Iterable[Sighting] = (),
    registry: RegistryStore | None = None,
) -> int:
    """Store a batch. Call on a timer, never for a message. Return how many different assets were seen. Blocking.

    `offered`: as `offered_tools` returns. `registry`: if it has changed; then what it contains is removed. Raises
    Unavailable (`register.*`): the batch then waits for the next call.
    """
    seen, gone = batch.take(), [*batch.take_gone()]
    try:
        if registry is not None:
            registered = registered_now(registry)
            gone += [(one.kind, one.name) for one in sightings.all() if registered(one)]
        sightings.keep([*seen, *offered], gone=gone)
    except Unavailable:
        batch.put_back(seen)
        for kind, name in gone:
            batch.leave(kind, name)
        raise
    return len(seen)


def offered_tools(
    registry: RegistryStore, upstream: Upstream, clock: Clock, looked: Looked
) -> tuple[Sighting, ...]:
    """Return the tools that registered servers offer and no capability names; nobody can call them.

    Empty if nothing can be new since the last read. Does no I/O. Never raises.
    """
    current, generation, now = registry.current, upstream.generation, clock.now()
    if looked.snapshot is current and looked.generation == generation and now < looked.until:
        return ()
    looked.snapshot, looked.generation, looked.until = current, generation, now + OFFERED_AGAIN_MILLIS
    registered = Registered(current)
    found: list[Sighting] = []
    for server in sorted(current.servers):
        listed = [_offered(server, tool, now) for tool in sorted(upstream.tools(server) or ())]
        unknown = [one for one in listed if not registered(one)]
        found += unknown[:SOURCE_MAX]
        # A server may list more tools than fit; only the first by name are listed one by one.
        found += [one.as_other() for one in unknown[SOURCE_MAX:]]
    return tuple(found)


def unregistered(registry: RegistryStore, sightings: Sightings) -> list[Sighting]:
    """Return the unregistered inventory, last seen first. Blocking. Raises Unavailable (`register.*`)."""
    registered = registered_now(registry)
    return [one for one in sightings.all() if one.name == OTHERS or not registered(one)]


def configured_servers(
    agent: AgentId, servers: Iterable[tuple[str, str, str]], *, at: UnixMillis
) -> tuple[Sighting, ...]:
    """Return the servers in a client's configuration (name, address, file) as sightings of grade `claimed`."""
    return tuple(
        Sighting(
            kind="server",
            name=printable(configured_name(_plain(name), _plain(reached))),
            first=at,
            last=at,
            source=f"project of {agent}",
            grade="claimed",
            how=printable(f"configured in {_plain(where)}"),
            direct=True,
        )
        for name, reached, where in servers
    )


def put_configured(
    registry: RegistryStore, sightings: Sightings, found: Iterable[Sighting], *, agent: AgentId
) -> int:
    """Replace the sightings of this agent's project. Return how many are not registered. Blocking.

    Raises Unavailable (`register.*`).
    """
    registered = registered_now(registry)
    left = {one.place: one for one in found if not registered(one)}
    sightings.forget_source(f"project of {agent}")
    sightings.keep(left.values())
    return len(left)


def _plain(text: str) -> str:
    """Hide credentials in a name, because it is written down."""
    found, _ = hidden_in(text.encode("utf-8", "replace"))
    return found.decode()


def registered_now(registry: RegistryStore) -> Registered:
    """Return what is registered, active or not."""
    return Registered(
        registry.current, (one.noun for one in shapes_of(documents_in(registry.documents())).nouns)
    )


def _offered(server: str, tool: str, now: UnixMillis) -> Sighting:
    return Sighting(
        kind="tool",
        name=printable(f"{server}/{tool}"),
        first=now,
        last=now,
        source=f"server {server}",
        grade="gateway",
        how="offered",
    )
