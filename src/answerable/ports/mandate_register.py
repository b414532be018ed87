"""Port: the present state of mandates and what of their budgets is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.ledger.leaves import Reference
    from answerable.core.mandate.mandate import Mandate, MandateId, MandateState


class MandateRegister(Protocol):
    """Promises: `add` and `close` are on stable storage when they return and every later `find` sees them; look-ups and
    `reserve` are synchronous and do no I/O; `reserve` is exact among all callers of this process.

    Budgets are rebuilt from kept counts and the ledger's intents after them at start (`restore_used`), so that a
    reservation needs no write of its own: the intent is the record. Raises only Unavailable (`register.*`) and, from
    `add`, Malformed (`mandate.duplicate`, `mandate.malformed`).
    """

    def find(self, mandate: MandateId) -> Mandate | None:
        """The mandate, open or closed, or None."""
        ...

    def state(self, mandate: MandateId) -> MandateState:
        """Open or closed; unknown mandates are closed."""
        ...

    def calls_used(self, mandate: MandateId) -> int:
        """Actions started under it."""
        ...

    def reserve(self, mandate: MandateId) -> int | None:
        """Take one call from the budget; returns how many are used now, or None when it is spent or closed."""
        ...

    def give_back(self, mandate: MandateId) -> None:
        """Return one call whose intent never became durable."""
        ...

    def restore_used(self, mandate: MandateId, calls: int) -> None:
        """Set the used count from the ledger at start; never lowers it."""
        ...

    def keep_used(self, origin: str, used: Mapping[MandateId, int], entries: int) -> None:
        """Keep, on stable storage, how many calls these mandates have used by the intents of the log `origin` below the
        entry of that index. Mandates that are not named keep the counts they have."""
        ...

    def kept_used(self, origin: str) -> Mapping[MandateId, int]:
        """What was kept for this log, by mandate."""
        ...

    def used_up_to(self, origin: str) -> int:
        """Up to which entry of this log intents are in the kept counts; 0 when nothing was kept."""
        ...

    def add(self, mandate: Mandate, *, issued: Reference | None = None) -> None:
        """Register an issued mandate. issued: the entry that says so, with the origin of its log."""
        ...

    def issued(self, mandate: MandateId) -> Reference | None:
        """The entry that says that it was issued; None for an unknown mandate, and where none was given. May read."""
        ...

    def close(self, mandate: MandateId) -> None:
        """Close it; idempotent."""
        ...

    def all(self) -> Iterable[Mandate]:
        """Every mandate, newest first."""
        ...
