"""List leases for operators: what is open, what could not be revoked, and who limits each capability's credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from answerable.core.lease.wire import LISTED_MAX
from answerable.errors.codes.leases import BROKER_NONE, BROKER_TOO_MANY_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.lease.credential import Boundary
    from answerable.core.lease.lease import Lease
    from answerable.core.lease.wire import LeaseList
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.ports.registry_store import RegistryStore

SHOWN_MAX: Final = 100_000


def broker_of(leases: LeaseSide | None) -> LeaseSide:
    """Return the lease state. Raises Unavailable (`broker.none`)."""
    if leases is None:
        raise BROKER_NONE("no broker is configured")
    return leases


async def all_leases(leases: LeaseSide | None, which: LeaseList) -> Sequence[Lease]:
    """Return every open or unrevoked lease, by name, or the last ended ones, latest first.

    Open and unrevoked leases are listed completely: a truncated list would be wrong. Raises Unavailable.
    """
    asks = broker_of(leases).asks
    if which == "ended":
        return await asks.leases("ended", LISTED_MAX)
    found: list[Lease] = []
    after = ""
    while True:
        some = await asks.leases(which, LISTED_MAX, after=after)
        found += some
        if len(some) < LISTED_MAX:
            return found
        if len(found) >= SHOWN_MAX:
            raise BROKER_TOO_MANY_UNAVAILABLE(
                f"more than {SHOWN_MAX} leases are open: list one target, or only unrevoked leases"
            )
        after = some[-1].name


class BoundaryOf(NamedTuple):
    """Who limits the credential of a capability to its task.

    `boundary`: `unknown` if its server holds credentials of its own, or the broker does not know the target.
    """

    capability: str
    server: str
    target: str
    tier: int
    boundary: Boundary | Literal["unknown"]
    ends_by: Literal["target", "broker", "unknown"]


async def boundaries(registry: RegistryStore, leases: LeaseSide | None) -> list[BoundaryOf]:
    """Return the boundary of every capability in force, by name. Raises Unavailable (`broker.*`) if one needs it."""
    current = registry.current
    brokered = any(server.target for server in current.servers.values())
    known = {one.name: one.traits for one in await broker_of(leases).asks.targets()} if brokered else {}
    found = []
    for name, capability in sorted(current.capabilities.items()):
        server = current.servers.get(capability.server)
        target = server.target if server is not None else ""
        traits = known.get(target)
        found.append(
            BoundaryOf(
                capability=name,
                server=capability.server,
                target=target,
                tier=capability.tier,
                boundary=traits.boundary if traits is not None else "unknown",
                ends_by=traits.ends_by if traits is not None else "unknown",
            )
        )
    return found
