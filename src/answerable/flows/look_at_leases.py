"""Looking at leases from outside: what is open, what could not be revoked, what targets know that nobody explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.lease.wire import LISTED_MAX
from answerable.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.lease.lease import Lease
    from answerable.core.lease.wire import LeaseList
    from answerable.flows.lease_side import LeaseSide
    from answerable.flows.walk import Walk

SHOWN_MAX: Final = 100_000


def broker_of(walk: Walk) -> LeaseSide:
    """Raises Unavailable (`broker.none`)."""
    if walk.leases is None:
        raise Unavailable("there is no broker here", code="broker.none", port="lease_broker")
    return walk.leases


async def all_leases(walk: Walk, which: LeaseList) -> Sequence[Lease]:
    """Every lease that is open or could not be revoked, by name, or those that ended last, the last first.

    Open and unrevoked ones are told to the last: a list that is cut would not be exact. Raises Unavailable.
    """
    asks = broker_of(walk).asks
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
            raise Unavailable(
                f"more than {SHOWN_MAX} leases are open: ask for one target, or for those that are unrevoked",
                code="broker.too_many",
                port="lease_broker",
            )
        after = some[-1].name
