"""Port: the running instances of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.core.identity.workload.instance import Instance

MAY_RETURN: Final = frozenset({"instance.expired", "agent.suspended", "agent.inactive", "asked", "held"})
"""Reasons of an end after which the same running process may be enrolled anew: its time ran out, its agent was out of
force for a while, it ended its own instance itself, or it was held and attests anew after the lift. After any other,
somebody did not want this process to go on."""
FORGOTTEN: Final = MAY_RETURN | {"process.gone"}
"""Reasons of which `process_ended` knows nothing once the instance is forgotten: nothing would follow from them."""
UNRECORDED_MAX: Final = 500
"""Ends that `unrecorded` gives at a time."""


class LostEnd(NamedTuple):
    """An instance that ended and that a register knows nothing of. key: its thumbprint. because: stable code."""

    instance: SpiffeId
    key: str
    because: str


class InstanceRegister(Protocol):
    """Promises: what a method changed is on stable storage when it returns, and every later look-up sees it; whatever
    changes something, `unrecorded`, `last_sub_agent` and `key_ended` may wait for a disk and for other processes, so
    they are called off the event loop; the other look-ups (`find` to `live`) are synchronous, without I/O; an id or a
    key is registered once, for good, whoever races; an ended instance stays ended, also for a `put` that comes later.
    Raises only Unavailable (`register.*`) and, from `add`, Malformed (`instance.duplicate`, `instance.parent`).
    """

    def add(self, instance: Instance) -> None:
        """Register a new instance. Raises Malformed (`instance.duplicate`) for an id, a key, or a live process that is
        there already, or has ever been for id and key."""
        ...

    def put(self, instance: Instance) -> bool:
        """Replace what is known about a live instance of this id; False, and nothing changed, when it is not live."""
        ...

    def end(self, instance: SpiffeId, *, because: str, by: str = "") -> tuple[Instance, ...]:
        """End it and its sub-agents; returns those that this call ended, parents first. by: as `ended_by` says."""
        ...

    def end_many(self, instances: Iterable[SpiffeId], *, because: str, by: str = "") -> tuple[Instance, ...]:
        """End all of them and their sub-agents, or none: one change, as `end`. What is not live is passed over."""
        ...

    def unrecorded(self) -> tuple[tuple[Instance, str], ...]:
        """Ended instances that `recorded` was not told of, oldest first, at most UNRECORDED_MAX: each with its reason,
        or `parent.ended` where it ended with its parent. Also what other processes ended; never forgotten before."""
        ...

    def last_sub_agent(self, parent: SpiffeId) -> SpiffeId | None:
        """The sub-agent of this instance that was added last, by whatever process, and forgotten or not; or None."""
        ...

    def recorded(self, instances: Iterable[SpiffeId]) -> None:
        """The ends of these are in the ledger, on stable storage."""
        ...

    def find(self, instance: SpiffeId) -> Instance | None:
        """Live or ended, or None."""
        ...

    def by_key(self, thumbprint: str) -> Instance | None:
        """The instance with this key, live or ended, or None."""
        ...

    def by_process(self, process: str) -> Instance | None:
        """The live top-level instance of this local process, or None."""
        ...

    def process_ended(self, process: str) -> str:
        """Why the latest top-level instance of this local process ended; empty where none has. Known for good, but for
        reasons that are FORGOTTEN, which go with the particulars."""
        ...

    def key_ended(self, thumbprint: str) -> str:
        """Why the instance with this key ended, known for good; empty where none with it has."""
        ...

    def take_lost(self, ends: Iterable[LostEnd]) -> int:
        """Know for good that these ended, of which the ledger knows and this register does not: their ids and keys are
        taken. What is known already stays as it is; tells how many were not."""
        ...

    def of_agent(self, agent: AgentId) -> Iterable[Instance]:
        """Its live instances."""
        ...

    def live(self) -> Iterable[Instance]:
        """All that have not ended; their `expires_at` may have passed."""
        ...

    def forget_ended(self, *, before: UnixMillis) -> int:
        """Drop the particulars of instances that ended and expired before this time, never their ids and keys, and
        nothing whose end is unrecorded; tells how many."""
        ...
