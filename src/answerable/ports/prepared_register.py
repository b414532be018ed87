"""Port: what was prepared and waits to be executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.action.prepared import Prepared
    from answerable.core.identity.names.principal import AgentId, UnixMillis


class PreparedRegister(Protocol):
    """Promises: what `add` and `use` did is on stable storage when they return; an object is used at most once, whoever
    races, in this process and in others; of one that is used the content is gone from here, and that it was used stays
    known until KEPT_MS after it expired. All calls may read.

    Raises only Unavailable (`register.*`) and, from `add`, Malformed (`prepared.duplicate`) for an id that is here.
    """

    def add(self, prepared: Prepared, *, waiting_max: int) -> bool:
        """Keep a new one; False, and nothing is kept, where as many of its agent's wait at the time it was made. What
        expired more than KEPT_MS before that time is forgotten."""
        ...

    def get(self, identity: str) -> Prepared | None:
        """The one of this id, or None."""
        ...

    def named(self, agent: AgentId, digest: str) -> Sequence[Prepared]:
        """All that this agent prepared under this digest, newest first, with those that are used or expired."""
        ...

    def waiting(self, agent: AgentId, now: UnixMillis) -> int:
        """How many of this agent's can still be executed."""
        ...

    def use(self, identity: str, *, by: str, now: UnixMillis) -> bool:
        """Use it up for the action `by`; False when it was used, has expired or is not here."""
        ...
