"""Port: the running instances of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.workload.instance import Instance

ALTERED: Final = "instance.altered"
"""Reason of the end of an instance whose row another program wrote."""
MAY_RETURN: Final = frozenset(
    {"instance.expired", "agent.suspended", "agent.inactive", "asked", "held", ALTERED}
)
"""Reasons of an end after which the same running process may enrol again: its identity expired, its agent was inactive
for a while, it ended its own instance, its row was altered, or it was held and attests again after the lift. After any
other reason, somebody decided that this process must not continue."""
FORGOTTEN: Final = MAY_RETURN | {"process.gone"}
"""Reasons that `process_ended` no longer returns once the instance is pruned, because nothing depends on them."""
UNRECORDED_MAX: Final = 500
"""Maximum size of one answer of `unrecorded`."""


class LostEnd(NamedTuple):
    """An ended instance that the ledger records and a register does not know. key: its thumbprint. because: stable
    code."""

    instance: SpiffeId
    key: str
    because: str


class InstanceRegister(Protocol):
    """Promises: what a method changed is on stable storage when it returns, and every later look-up sees it; methods
    that change something, and `unrecorded`, `last_sub_agent` and `key_ended`, may wait for a disk and for other
    processes, so they are called off the event loop; the other look-ups (`find` to `live`) are synchronous, without
    I/O; an id or a key is registered once, for good, also among racing callers; an ended instance stays ended, also if
    a `put` comes later. Raises only Unavailable (`register.*`) and, from `add`, Malformed (`instance.duplicate`,
    `instance.parent`)."""

    def add(self, instance: Instance) -> None:
        """Register a new instance. Raises Malformed (`instance.duplicate`) for an id or a key that was ever registered,
        or a process that already has a live instance."""
        ...

    def put(self, instance: Instance) -> bool:
        """Replace the stored data of a live instance of this id. False, and nothing changes, when it is not live."""
        ...

    def end(self, instance: SpiffeId, *, because: str, by: str = "") -> tuple[Instance, ...]:
        """End an instance and its sub-agents; return those ended by this call, parents first. by: as in `ended_by`."""
        ...

    def end_many(self, instances: Iterable[SpiffeId], *, because: str, by: str = "") -> tuple[Instance, ...]:
        """End all these instances and their sub-agents in one change, or none, as `end` does. Instances that are not
        live are skipped."""
        ...

    def unrecorded(self) -> tuple[tuple[Instance, str], ...]:
        """Return ended instances not yet passed to `recorded`, oldest first, at most UNRECORDED_MAX: each with its
        reason, or `parent.ended` where it ended with its parent. Includes ends by other processes; none is pruned
        before it is recorded."""
        ...

    def last_sub_agent(self, parent: SpiffeId) -> SpiffeId | None:
        """Return the sub-agent of this instance that any process added last, pruned or not; or None."""
        ...

    def recorded(self, instances: Iterable[SpiffeId]) -> None:
        """Note that the ledger has the ends of these instances on stable storage."""
        ...

    def find(self, instance: SpiffeId) -> Instance | None:
        """Return the instance, live or ended, or None."""
        ...

    def by_key(self, thumbprint: str) -> Instance | None:
        """Return the instance with this key, live or ended, or None."""
        ...

    def by_process(self, process: str) -> Instance | None:
        """Return the live top-level instance of this local process, or None."""
        ...

    def process_ended(self, process: str) -> str:
        """Return why the latest top-level instance of this local process ended; empty where none has. Stored for good,
        except the reasons in FORGOTTEN, which are pruned with the instance."""
        ...

    def key_ended(self, thumbprint: str) -> str:
        """Return why the instance with this key ended; empty where none has. Stored for good."""
        ...

    def take_lost(self, ends: Iterable[LostEnd]) -> int:
        """Store for good the ends that the ledger records and this register does not know; their ids and keys count as
        taken. Known instances stay unchanged. Return how many were unknown."""
        ...

    def of_agent(self, agent: AgentId) -> Iterable[Instance]:
        """Return the agent's live instances."""
        ...

    def live(self) -> Iterable[Instance]:
        """Return all instances that have not ended; their `expires_at` may have passed."""
        ...

    def forget_ended(self, *, before: UnixMillis) -> int:
        """Prune the data of instances that ended and expired before this time, but never their ids and keys, and no
        instance whose end is unrecorded. Return how many."""
        ...
