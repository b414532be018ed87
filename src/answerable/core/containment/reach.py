"""Under which names an action stands that can be held. Nothing else says so.

Laws: whatever may be revoked of an action may be held; what the target adds is the capability, its tool, its server,
its environment and its tenant; *everything* is always among them. A reach only grows with its selector: whatever a tool
reaches its server reaches, whatever a sub-agent its instance, and whatever anything reaches, everything does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from answerable.core.containment.hold import EVERYTHING, Hold, HoldTarget, first_in_force
from answerable.core.containment.hold import described as hold_described
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.mandate.revocation import described
from answerable.core.registry.tools.tool_pin import TOOLS_CALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.revocation import Revocation, RevocationTarget
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Under which names somebody acts, the nearest first, and what of them is revoked or stands still, in one epoch.

    reach: under which of them it can be held. holds: those that are not lifted, run out or not. free: whether there is
    nothing of either, as nearly always: then nobody needs to look at the clock.
    """

    names: tuple[RevocationTarget, ...]
    revocation: Revocation | None
    reach: tuple[HoldTarget, ...]
    holds: tuple[Hold, ...]
    free: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", self.revocation is None and not self.holds)

    def hold(self, now: UnixMillis) -> Hold | None:
        """The first that is in force at this time."""
        return first_in_force(self.holds, now)

    def stopped(self, now: UnixMillis) -> str:
        """What of it nothing may be started under any more, and why, such as: agent `scout` was revoked; else empty."""
        if self.revocation is not None:
            return f"{described(self.revocation.what)} was revoked"
        hold = self.hold(now)
        return f"{hold_described(hold.what)} was held" if hold is not None else ""


def reach_of(
    names: Iterable[RevocationTarget], current: RegistrySnapshot, *, capability: Capability | None = None
) -> tuple[HoldTarget, ...]:
    """Every name by which a hold reaches whatever acts under these names, the nearest first.

    names: what it may be revoked under. capability: what it would use; None where it uses none.
    """
    found = [
        *_of_actors(names, current),
        *(_of_target(capability, current) if capability is not None else ()),
        EVERYTHING,
    ]
    return tuple(dict.fromkeys(found))


def server_reach(server: str, current: RegistrySnapshot) -> tuple[HoldTarget, ...]:
    """Every name by which a hold reaches whatever is done on a server, but for what one action on it adds."""
    registered = current.servers.get(server)
    found = [HoldTarget("server", server)]
    if registered is not None:
        found += [HoldTarget("vendor", registered.vendor)] if registered.vendor else []
        found += [HoldTarget("tenant", registered.tenant)] if registered.tenant else []
        found += [HoldTarget("credential", registered.target)] if registered.target else []
    return (*found, EVERYTHING)


def _of_actors(names: Iterable[RevocationTarget], current: RegistrySnapshot) -> Iterator[HoldTarget]:
    for kind, name in names:
        if kind == "token":
            # What is held under a token is held as the hop that it is, which every chain names.
            continue
        if kind == "agent" and name.startswith(SCHEME):
            yield HoldTarget("instance", name)
            continue
        yield HoldTarget(kind, name)
        agent = current.agents.get(AgentId(name)) if kind == "agent" else None
        if agent is not None:
            yield HoldTarget("environment", agent.environment)
            if agent.tenant:
                yield HoldTarget("tenant", agent.tenant)


def _of_target(capability: Capability, current: RegistrySnapshot) -> Iterator[HoldTarget]:
    if capability.method == TOOLS_CALL:
        yield HoldTarget("tool", f"{capability.server}/{capability.target}")
    yield HoldTarget("capability", capability.name)
    yield HoldTarget("environment", capability.environment)
    if capability.ownership.owner:
        yield HoldTarget("owner", capability.ownership.owner)
    yield from server_reach(capability.server, current)
