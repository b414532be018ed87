"""List the SVIDs of a stopped agent that third parties may still accept: issued and not expired.

Every part of this product refuses them from the next message on; a third party that verifies offline does not know. The
ledger has each SVID before it is delivered. The log is therefore read back as far as the longest SVID lifetime, off the
event loop and each entry once. With several processes, the others have logs of their own: the result is then
incomplete, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.spiffe_id import AGENT_PREFIX, SCHEME
from answerable.flows.trust_domain.issued_svids import OutstandingSvid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.ledger.records_workload import SvidKind
    from answerable.flows.trust_domain.workloads import Workloads

SVIDS_MAX: Final = 1_000
"""Listed one by one, those that expire last first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """Outstanding SVIDs. svids: those that expire last first. is_all: false where there may be others, in another
    process's log or further back than was read. last: by kind, the latest expiry, also of SVIDs that are not listed."""

    svids: tuple[OutstandingSvid, ...]
    is_all: bool
    last: Mapping[str, int]

    def until(self, *kinds: SvidKind, at_least: int) -> int:
        """Return when no SVID of these kinds is valid any more. at_least: by the lifetimes set now; an SVID issued
        under a longer setting may outlast that."""
        return max(at_least, *(self.last.get(kind, 0) for kind in kinds))


async def outstanding_of_agent(workloads: Workloads, agent: AgentId) -> Outstanding:
    """Return the SVIDs of all instances of an agent, ended or not, that third parties accept now. Reads only the
    ledger."""
    name = f"{SCHEME}{workloads.trust.domain}{AGENT_PREFIX}{agent}/"
    return await outstanding_of(workloads, lambda one: _is_of(one, name))


async def outstanding_of_instance(workloads: Workloads, instance: str) -> Outstanding:
    """Return the outstanding SVIDs of one instance and its sub-agents, from the ledger."""
    return await outstanding_of(workloads, lambda one: _is_of(one, instance))


async def outstanding_of(workloads: Workloads, is_meant: Callable[[str], bool]) -> Outstanding:
    """Return the outstanding SVIDs of the instances whose name is_meant accepts, from the ledger."""
    recorder, issued, now = workloads.recorder, workloads.issued, workloads.recorder.clock.now()
    await issued.read(recorder.ledger, now)
    found = [one for one in issued.kept if one.expires_at > now and is_meant(one.instance)]
    found.sort(key=lambda one: one.expires_at, reverse=True)
    last: dict[str, int] = {}
    for one in found:
        last.setdefault(one.kind, one.expires_at)
    is_all = (
        workloads.applying.live.link is None
        and issued.is_all(recorder.ledger, now)
        and len(found) <= SVIDS_MAX
    )
    return Outstanding(svids=tuple(found[:SVIDS_MAX]), is_all=is_all, last=last)


def _is_of(instance: str, name: str) -> bool:
    return instance == name or instance.startswith(name if name.endswith("/") else f"{name}/")
