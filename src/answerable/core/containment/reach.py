"""Compute all names under which an action can be held: the only place that does so.

Laws: every name under which an action can be revoked can be held; the target adds the capability, its tool, its server,
its environment and its tenant; *everything* is always included. A wider selector always covers more: a server covers
whatever its tools cover, an instance whatever its sub-agents cover, and everything covers all.
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
    """The names under which a caller acts, the nearest first, and the revocations and holds on them, in one epoch.

    reach: the names under which it can be held. holds: the unlifted ones, expired or not. free: whether there is no
    revocation and no hold, as nearly always: then the clock need not be read.
    """

    names: tuple[RevocationTarget, ...]
    revocation: Revocation | None
    reach: tuple[HoldTarget, ...]
    holds: tuple[Hold, ...]
    free: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", self.revocation is None and not self.holds)

    def hold(self, now: UnixMillis) -> Hold | None:
        """Return the first hold in force at this time."""
        return first_in_force(self.holds, now)

    def stopped(self, now: UnixMillis) -> str:
        """Return what is revoked or held and prevents new actions, such as: agent `scout` was revoked; else empty."""
        if self.revocation is not None:
            return f"{described(self.revocation.what)} was revoked"
        hold = self.hold(now)
        return f"{hold_described(hold.what)} was held" if hold is not None else ""


def reach_of(
    names: Iterable[RevocationTarget], current: RegistrySnapshot, *, capability: Capability | None = None
) -> tuple[HoldTarget, ...]:
    """Return every name by which a hold covers a caller that acts under these names, the nearest first.

    names: those under which it may be revoked. capability: the one it would use; None where it uses none.
    """
    found = [
        *_of_actors(names, current),
        *(_of_target(capability, current) if capability is not None else ()),
        EVERYTHING,
    ]
    return tuple(dict.fromkeys(found))


def server_reach(server: str, current: RegistrySnapshot) -> tuple[HoldTarget, ...]:
    """Return every name by which a hold covers whatever is done on a server, without the names that a single action
    adds."""
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
            # A token is held as its hop, which every chain names.
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
