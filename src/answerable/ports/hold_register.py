"""Port: the holds of a deployment; a hold that one process places applies in every process from its next call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.core.containment.hold import Hold, HoldId, HoldTarget
    from answerable.core.identity.names.principal import UnixMillis

UNRECORDED_MAX = 1_000
"""Maximum size of one answer of `unrecorded`."""


class HoldRegister(Protocol):
    """Promises: what `place` stored is on stable storage when it returns, and from then on every `find` of every
    process on the same register sees it, also of a process that was suspended meanwhile; a hold ends only through
    `replace` with a lifted one, or at its own expiry; nothing is deleted.

    Opened beside a revocation register with which it shares the epoch: one comparison detects a change of either.

    `epoch`, `standing` and `find` are synchronous, thread-safe, and do no I/O while nothing was placed or lifted
    anywhere. A register whose state is uncertain raises Unavailable; it never answers as if nothing were held.

    Raises only Unavailable (`register.*`).
    """

    def epoch(self) -> int:
        """Return a number that differs after every `place` of a new hold, `replace` and revocation by any process.
        Costs well under a microsecond."""
        ...

    def standing(self, names: Collection[HoldTarget]) -> tuple[Hold, ...]:
        """For each of these names, in order, return the unlifted hold with the latest end, expired or not.

        The answer is valid for the current epoch; which of the holds are in force changes with the clock.
        """
        ...

    def find(self, names: Collection[HoldTarget], at: UnixMillis) -> Hold | None:
        """Return the first of `standing` that is in force at this time; None when there is none."""
        ...

    def get(self, hold: HoldId) -> Hold | None:
        """Return the hold of this id, in force or not. May read."""
        ...

    def place(self, hold: Hold) -> Hold:
        """Put a hold into force and return it. If the same placer already has a hold in force on the same name that
        ends no earlier, that hold is returned instead. May wait. A hold that cannot be written is in force in this
        process all the same, and stays so until it is written (`register.behind`)."""
        ...

    def replace(self, hold: Hold, *, was: Hold) -> bool:
        """Replace `was` with `hold`: one more person agreed, or it was lifted. False when another caller changed it
        meanwhile. When this returns, every process sees the change. May wait."""
        ...

    def put_back(self, holds: Collection[Hold]) -> int:
        """Restore the holds with unknown ids unchanged, marked as recorded, in one write: all or none. Return how many
        there were. May wait."""
        ...

    def put_right(self, holds: Collection[Hold]) -> None:
        """Overwrite the stored holds of the same ids, marked as recorded, in one write, so that no reader sees any of
        them missing. May wait."""
        ...

    def all(self) -> Iterable[Hold]:
        """Return every hold, newest first, including lifted and expired ones. May read."""
        ...

    def unrecorded(self) -> Sequence[Hold]:
        """Return the holds not yet passed to `recorded`, oldest first, at most UNRECORDED_MAX. May read."""
        ...

    def is_recorded(self, hold: HoldId) -> bool:
        """Whether the hold was passed to `recorded`, however many others wait. False for an unknown hold. May read."""
        ...

    def recorded(self, holds: Iterable[HoldId]) -> None:
        """Note that the ledger contains these holds. May wait."""
        ...

    def unreported(self) -> Sequence[Hold]:
        """Return the holds that the ledger contains and that were not yet passed to `reported`, oldest first, at most
        UNRECORDED_MAX. May read."""
        ...

    def reported(self, holds: Iterable[HoldId]) -> None:
        """Note that the ledger contains the effects of these holds. May wait."""
        ...
