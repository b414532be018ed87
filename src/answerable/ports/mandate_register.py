"""Port: the present state of mandates and what of their budgets is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.mandate.mandate import Mandate, MandateId, MandateState


class MandateRegister(Protocol):
    """Promises: `add` and `close` are on stable storage when they return and every later `find` sees them; look-ups and
    `reserve` are synchronous and do no I/O; `reserve` is exact among all callers of this process.

    Budgets are rebuilt from the ledger's intents at start (`restore_used`), so that a reservation needs no write of its
    own: the intent is the record. Raises only Unavailable (`register.*`) and, from `add`, Malformed
    (`mandate.duplicate`, `mandate.malformed`).
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

    def add(self, mandate: Mandate) -> None:
        """Register an issued mandate."""
        ...

    def close(self, mandate: MandateId) -> None:
        """Close it; idempotent."""
        ...

    def all(self) -> Iterable[Mandate]:
        """Every mandate, newest first."""
        ...
