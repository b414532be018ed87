"""Port: prepared actions that wait to be executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from answerable.core.action.prepared import Prepared
    from answerable.core.identity.names.principal import AgentId, UnixMillis


class PreparedRegister(Protocol):
    """Promises: what `add` did is on stable storage when it returns; an object is used at most once, also among racing
    callers of the one process that uses what was prepared under a mandate; the content of a used object is deleted, and
    its use stays known until KEPT_MS after it expired. All calls may read. A use is in the ledger, as an intent: its
    row follows, and a restart makes it again from there.

    Raises only Unavailable (`register.*`) and, from `add`, Malformed (`prepared.duplicate`) for a stored id.
    """

    def add(self, prepared: Prepared, *, waiting_max: int) -> bool:
        """Store a new object. False, and nothing is stored, where `waiting_max` of its agent's objects already wait at
        the time it was made. Objects that expired more than KEPT_MS before that time are removed."""
        ...

    def get(self, identity: str) -> Prepared | None:
        """Return the object of this id, or None."""
        ...

    def named(self, agent: AgentId, digest: str) -> Sequence[Prepared]:
        """Return everything that this agent prepared under this digest, newest first, including used and expired
        objects."""
        ...

    def waiting(self, agent: AgentId, now: UnixMillis) -> int:
        """Return how many of this agent's objects can still be executed."""
        ...

    def deciding(self) -> AbstractContextManager[object]:
        """While it is held, no row of a use is stored: for the turn in which a use may be given back."""
        ...

    def give_back(self, identity: str, *, by: str) -> None:
        """Undo the use of an object by the action `by`, whose intent gets no place, in the turn of the use and
        `deciding`. Does nothing where that action did not use it; it stays used where its row is stored already."""
        ...

    def keep_use(self, identity: str) -> None:
        """Store the row of a use whose intent has its place. Does not wait and never raises: what cannot be stored
        now follows later."""
        ...

    def use(self, identity: str, *, by: str, now: UnixMillis) -> bool:
        """Use up the object for the action `by`; False when it was used, has expired or is unknown."""
        ...
