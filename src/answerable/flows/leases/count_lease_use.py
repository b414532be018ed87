"""Compare granted and used rights: which capabilities have a lease, and what the index counts as used of its grants.

Law: the templates are those of this server's registry, whichever log is counted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_LOG_UNKNOWN
from answerable.errors.codes.registry import CAPABILITY_LEASE, CAPABILITY_UNKNOWN, CAPABILITY_UNLEASED
from answerable.flows.revocation.look_at_leases import broker_of
from answerable.ports.lease_use import LEASE_USE, LeasedTold, LeaseUseQuestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.use import Right
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.lease_template import LeaseTemplate
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.ports.lease_use import LeaseUseTold
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.search_process import Searches


class Leased(NamedTuple):
    """A capability in force whose actions a broker performs. target: the broker's target."""

    capability: Capability
    lease: LeaseTemplate
    target: str

    @property
    def template(self) -> str:
        """Return the digest of the grants as written, with their placeholders."""
        return self.lease.grants.hex


def leased_capabilities(registry: RegistryStore) -> dict[str, Leased]:
    """Return every capability in force whose actions a broker performs, by name."""
    current = registry.current
    found: dict[str, Leased] = {}
    for name, capability in sorted(current.capabilities.items()):
        server = current.servers.get(capability.server)
        if server is not None and server.target and capability.lease is not None:
            found[name] = Leased(capability, capability.lease, server.target)
    return found


def leased(registry: RegistryStore, name: str) -> Leased:
    """Return one of these capabilities. Raises Refused (`capability.unknown`, `capability.unleased`)."""
    found = leased_capabilities(registry).get(name)
    if found is not None:
        return found
    if name in registry.current.capabilities:
        raise CAPABILITY_UNLEASED(
            f"capability {shown(name)} has no lease that a broker mints: see `answerable lease boundaries`"
        )
    raise CAPABILITY_UNKNOWN(f"there is no capability {shown(name)}: see `answerable capability list`")


async def rights_of(leases: LeaseSide | None, one: Leased) -> Sequence[Right]:
    """Return the rights that its grants give; empty where unknown. Raises Unavailable (`broker.*`)."""
    return await broker_of(leases).asks.rights(one.target, one.lease.grants.thaw())


async def count_lease_use(
    searches: Searches,
    known: Iterable[Leased],
    leases: LeaseSide | None,
    *,
    since: int = 0,
    start: int | None = None,
    log: str = "",
) -> LeaseUseTold:
    """Count what actions used of these leases, in as many entries as one answer of the index covers.

    since: Unix milliseconds, for the first page; later pages pass `start`. log: as `other_logs` names it; empty for the
    log of this process. Raises Refused (`lease.log_unknown`), and as the index and the broker do: a log that cannot be
    read must not count as unused.
    """
    if log and log not in other_logs(leases):
        raise LEASE_LOG_UNKNOWN(f"there is no log {shown(log)} beside this one")
    capabilities = tuple(_told(one) for one in known)
    question = LeaseUseQuestion(capabilities=capabilities, since=since, start=start, log=log)
    return await searches.ask(LEASE_USE, question)


def other_logs(leases: LeaseSide | None) -> tuple[str, ...]:
    """Return the names of other processes' logs, whose use counts as well. Raises Unavailable (`broker.none`)."""
    return tuple(log.name for log in broker_of(leases).others())


def with_grants(document: JSONValue, grants: JSONValue) -> JSONValue:
    """Return a capability's document with other grants and no other change. Raises Malformed (`capability.lease`)."""
    copy = json.loads(json.dumps(document))
    lease = copy.get("spec", {}).get("lease") if isinstance(copy, dict) else None
    if not isinstance(lease, dict) or "grants" not in lease:
        raise CAPABILITY_LEASE()
    lease["grants"] = grants
    result: JSONValue = copy
    return result


def _told(one: Leased) -> LeasedTold:
    grants = one.lease.grants.thaw()
    return LeasedTold(
        name=one.capability.name,
        arguments=one.capability.arguments,
        grants=grants if isinstance(grants, dict) else {},
        template=one.template,
    )
