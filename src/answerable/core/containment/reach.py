"""Under which names an action stands that can be held. Nothing else says so.

Laws: whatever may be revoked of an action may be held; what the target adds is the capability, its tool, its server,
its environment and its tenant; *everything* is always among them. A reach only grows with its selector: whatever a tool
reaches its server reaches, whatever a sub-agent its instance, and whatever anything reaches, everything does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.containment.hold import EVERYTHING, Holdable
from answerable.core.identity.principal import AgentId
from answerable.core.identity.spiffe_id import SCHEME
from answerable.core.registry.tool_pin import TOOLS_CALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.core.mandate.revocation import Revocable
    from answerable.core.registry.capability import Capability
    from answerable.core.registry.snapshot import RegistrySnapshot


def reach_of(
    names: Iterable[Revocable], current: RegistrySnapshot, *, capability: Capability | None = None
) -> tuple[Holdable, ...]:
    """Every name by which a hold reaches whatever acts under these names, the nearest first.

    names: what it may be revoked under. capability: what it would use; None where it uses none.
    """
    found = [
        *_of_actors(names, current),
        *(_of_target(capability, current) if capability is not None else ()),
        EVERYTHING,
    ]
    return tuple(dict.fromkeys(found))


def server_reach(server: str, current: RegistrySnapshot) -> tuple[Holdable, ...]:
    """Every name by which a hold reaches whatever is done on a server, but for what one action on it adds."""
    registered = current.servers.get(server)
    found = [Holdable("server", server)]
    if registered is not None:
        found += [Holdable("vendor", registered.vendor)] if registered.vendor else []
        found += [Holdable("tenant", registered.tenant)] if registered.tenant else []
    return (*found, EVERYTHING)


def _of_actors(names: Iterable[Revocable], current: RegistrySnapshot) -> Iterator[Holdable]:
    for kind, name in names:
        if kind == "token":
            # What is held under a token is held as the hop that it is, which every chain names.
            continue
        if kind == "agent" and name.startswith(SCHEME):
            yield Holdable("instance", name)
            continue
        yield Holdable(kind, name)
        agent = current.agents.get(AgentId(name)) if kind == "agent" else None
        if agent is not None:
            yield Holdable("environment", agent.environment)
            if agent.tenant:
                yield Holdable("tenant", agent.tenant)


def _of_target(capability: Capability, current: RegistrySnapshot) -> Iterator[Holdable]:
    if capability.method == TOOLS_CALL:
        yield Holdable("tool", f"{capability.server}/{capability.target}")
    yield Holdable("capability", capability.name)
    yield Holdable("environment", capability.environment)
    if capability.ownership.owner:
        yield Holdable("owner", capability.ownership.owner)
    yield from server_reach(capability.server, current)
