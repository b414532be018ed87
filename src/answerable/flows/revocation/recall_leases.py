"""Send the broker the names of leases from the ledger after the broker lost its register, so that live ones are ended.

Laws: an intent names its lease before anything is minted, so that every credential of the last day is named. A lease
with an entry that it ended is not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio import to_thread

from answerable.core.lease.name import checked_lease_name
from answerable.core.lease.wire import NAMES_MAX
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.parsing.spec_lease import TTL_SECONDS_MAX
from answerable.errors import Malformed

if TYPE_CHECKING:
    from answerable.core.lease.name import LeaseName
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore

LIFE_MS_MAX: Final = 2 * TTL_SECONDS_MAX * 1000
"""Maximum age of a lease, apart from renewed ones, whose task has newer entries."""


async def recall_leases(ledger: Ledger, registry: RegistryStore, clock: Clock, side: LeaseSide) -> int:
    """Send the broker every name that may be live. Return how many it did not know. Raises Unavailable, Broken."""
    named = await to_thread.run_sync(_named, ledger, registry, clock)
    unknown = 0
    for start in range(0, len(named), NAMES_MAX):
        unknown += await side.asks.recall(ledger.origin, named[start : start + NAMES_MAX])
    return unknown


def _named(ledger: Ledger, registry: RegistryStore, clock: Clock) -> list[tuple[LeaseName, str]]:
    """Return names and targets of leases of the last day without an entry that they ended."""
    targets = {name: server.target for name, server in registry.current.servers.items()}
    found: dict[LeaseName, str] = {}
    for stored in ledger.replay(_start(ledger, clock)):
        if stored.tag not in (Tag.INTENT, Tag.LEASE):
            continue
        leaf = leaf_of(stored)
        try:
            name = checked_lease_name(str(leaf.get("lease") or ""))
        except Malformed:
            continue
        if stored.tag == Tag.LEASE:
            if leaf.get("state") == "ended":
                found.pop(name, None)
            else:
                found[name] = str(leaf.get("target"))
        # Prefer the recorded target: the registry may name another target now, which does not know the lease.
        elif target := str(leaf.get("lease_target") or targets.get(str(leaf.get("server")), "")):
            found.setdefault(name, target)
    return list(found.items())


def _start(ledger: Ledger, clock: Clock) -> int:
    """Return the index of the first entry that is not older than a lease can be."""
    oldest = clock.now() - LIFE_MS_MAX
    low, high = 0, ledger.size
    while low < high:
        middle = (low + high) // 2
        at = leaf_of(ledger.entry(middle)).get("at")
        if isinstance(at, int) and at < oldest:
            low = middle + 1
        else:
            high = middle
    return low
