"""What third parties may still believe of an agent that was stopped: SVIDs that were issued and have not run out.

Everything of ours refuses them from the next message on; whoever verifies offline does not know. The ledger has each
before it leaves, so it is read back as far as the longest SVID can live, beside the event loop and each entry once.
Where a deployment has several processes, the others have logs of their own: what is found here is not all then, and
says so.
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
"""Told one by one, those that last longest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """svids: those that last longest first. is_all: False where there may be others, in the log of another process or
    further back than was read. last: by kind, the end of the one that lasts longest, also of those that are not
    told one by one."""

    svids: tuple[OutstandingSvid, ...]
    is_all: bool
    last: Mapping[str, int]

    def until(self, *kinds: SvidKind, at_least: int) -> int:
        """When nothing of these kinds is good any more. at_least: by the lives that are set now; what was issued while
        longer ones were set may outlast that."""
        return max(at_least, *(self.last.get(kind, 0) for kind in kinds))


async def outstanding_of_agent(workloads: Workloads, agent: AgentId) -> Outstanding:
    """SVIDs of all instances of an agent, ended or not, that are good at third parties now. Reads the ledger alone."""
    name = f"{SCHEME}{workloads.trust.domain}{AGENT_PREFIX}{agent}/"
    return await outstanding_of(workloads, lambda one: _is_of(one, name))


async def outstanding_of_instance(workloads: Workloads, instance: str) -> Outstanding:
    """SVIDs of one instance and its sub-agents, in the same way."""
    return await outstanding_of(workloads, lambda one: _is_of(one, instance))


async def outstanding_of(workloads: Workloads, is_meant: Callable[[str], bool]) -> Outstanding:
    """SVIDs of the instances that are meant, by name, in the same way."""
    walk, issued, now = workloads.walk, workloads.issued, workloads.walk.clock.now()
    await issued.read(walk.ledger, now)
    found = [one for one in issued.kept if one.expires_at > now and is_meant(one.instance)]
    found.sort(key=lambda one: one.expires_at, reverse=True)
    last: dict[str, int] = {}
    for one in found:
        last.setdefault(one.kind, one.expires_at)
    is_all = walk.link is None and issued.is_all(walk.ledger, now) and len(found) <= SVIDS_MAX
    return Outstanding(svids=tuple(found[:SVIDS_MAX]), is_all=is_all, last=last)


def _is_of(instance: str, name: str) -> bool:
    return instance == name or instance.startswith(name if name.endswith("/") else f"{name}/")
