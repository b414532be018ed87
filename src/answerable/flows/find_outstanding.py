"""What third parties may still believe of an agent that was stopped: SVIDs that were issued and have not run out.

Everything of ours refuses them from the next message on; whoever verifies offline does not know. The ledger has each
before it leaves, so it is read back as far as the longest SVID can live, beside the event loop and each entry once.
Where a deployment has several processes, the others have logs of their own: what is found here is not all then, and
says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from answerable.core.identity.spiffe_id import AGENT_PREFIX, SCHEME
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from answerable.core.identity.principal import AgentId
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.records_workload import SvidKind
    from answerable.flows.workloads import Workloads
    from answerable.ports.ledger import Ledger

LIFE_MILLIS_MAX: Final = 86_400_000
"""No SVID can be set to live longer, whatever is set now."""
ENTRIES_READ_MAX: Final = 200_000
"""Of the end of the log."""
ENTRIES_AT_A_TIME: Final = 500
SVIDS_MAX: Final = 1_000
"""Told one by one, those that last longest first."""
KEPT_MAX: Final = 20_000
"""Remembered between two questions, those that last longest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutstandingSvid:
    """kind: x509, jwt or wit. serial: of the certificate, or digest of the token, as the ledger has it."""

    instance: str
    kind: str
    serial: str
    expires_at: int


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


@dataclass(slots=True)
class IssuedSvids:
    """What the log says of SVIDs that have not run out, so that each question reads only what is new in it.

    begin, end: the entries that were read. is_cut: there were more than are kept. Belongs to the event loop's thread.
    """

    begin: int = 0
    end: int = 0
    is_cut: bool = False
    kept: list[OutstandingSvid] = field(default_factory=list)
    turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def read(self, ledger: Ledger, now: int) -> None:
        """Up to what the log has now."""
        async with self.turn:
            if self.end < ledger.size - ENTRIES_READ_MAX:
                self.begin = self.end = ledger.size - ENTRIES_READ_MAX
            entries = ledger.replay(self.end)
            while True:
                count, found = await to_thread.run_sync(_svids_in, islice(entries, ENTRIES_AT_A_TIME))
                if not count:
                    break
                self.end += count
                self.kept += found
            self.kept = [one for one in self.kept if one.expires_at > now]
            if len(self.kept) > KEPT_MAX:
                self.kept.sort(key=lambda one: one.expires_at, reverse=True)
                self.is_cut = True
                del self.kept[KEPT_MAX:]

    def is_all(self, ledger: Ledger, now: int) -> bool:
        """Whether no other entry of this log can speak of one that has not run out."""
        return not self.is_cut and (self.begin == 0 or _at(ledger.entry(self.begin)) < now - LIFE_MILLIS_MAX)


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


def _svids_in(entries: Iterable[StoredEntry]) -> tuple[int, list[OutstandingSvid]]:
    """How many entries there are, and the SVIDs that they say."""
    some = list(entries)
    found = [_svid_in(stored) for stored in some if stored.tag == Tag.SVID_ISSUED]
    return len(some), [one for one in found if one is not None]


def _is_of(instance: str, name: str) -> bool:
    return instance == name or instance.startswith(name if name.endswith("/") else f"{name}/")


def _svid_in(stored: StoredEntry) -> OutstandingSvid | None:
    leaf = leaf_of(stored)
    expires = leaf.get("expires")
    if not isinstance(expires, int):
        return None
    return OutstandingSvid(
        instance=str(leaf.get("instance")),
        kind=str(leaf.get("kind")),
        serial=str(leaf.get("serial")),
        expires_at=expires,
    )


def _at(stored: StoredEntry) -> int:
    at = leaf_of(stored).get("at")
    return at if isinstance(at, int) else 0
