"""Port: the running instances of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.instance import Instance
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.core.identity.spiffe_id import SpiffeId


class InstanceRegister(Protocol):
    """Promises: what `add`, `put` and `end` changed is on stable storage when they return, and every later look-up sees
    it; look-ups are synchronous, without I/O; an id or a key is registered once, for good, whoever races; an ended
    instance stays ended, also for a `put` that comes later. Raises only Unavailable (`register.*`) and, from `add`,
    Malformed (`instance.duplicate`, `instance.parent`).
    """

    def add(self, instance: Instance) -> None:
        """Register a new instance. Raises Malformed (`instance.duplicate`) for an id, a key, or a live process that is
        there already, or has ever been for id and key."""
        ...

    def put(self, instance: Instance) -> bool:
        """Replace what is known about a live instance of this id; False, and nothing changed, when it is not live."""
        ...

    def end(self, instance: SpiffeId, *, because: str) -> tuple[Instance, ...]:
        """End it and its sub-agents; returns those that this call ended, parents first."""
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

    def of_agent(self, agent: AgentId) -> Iterable[Instance]:
        """Its live instances."""
        ...

    def live(self) -> Iterable[Instance]:
        """All that have not ended; their `expires_at` may have passed."""
        ...

    def forget_ended(self, *, before: UnixMillis) -> int:
        """Drop the particulars of instances that expired before this time, never their ids and keys; tells how many."""
        ...
