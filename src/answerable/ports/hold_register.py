"""Port: what is held, as every process of a deployment sees it at its next call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.core.containment.hold import Hold, HoldId, HoldTarget
    from answerable.core.identity.names.principal import UnixMillis

UNRECORDED_MAX = 1_000
"""Of one answer of `unrecorded`."""


class HoldRegister(Protocol):
    """Promises: what `place` took is on stable storage when it returns, and from then on every `find` of every process
    on the same register sees it, also of one that slept meanwhile; a hold never goes but by `replace` with one that is
    lifted, or by its own end; nothing is forgotten.

    Opened beside a revocation register, whose epoch is this one's: one look says whether either is another.

    `epoch`, `standing` and `find` are synchronous, safe for several threads, and do no I/O while nothing was placed or
    lifted anywhere. A register that cannot say for sure raises Unavailable; it never answers as if nothing were held.

    Raises only Unavailable (`register.*`).
    """

    def epoch(self) -> int:
        """A number that is another one after every `place` of something new, `replace` and revocation, of whatever
        process. Costs well under a microsecond."""
        ...

    def standing(self, names: Collection[HoldTarget]) -> tuple[Hold, ...]:
        """Of each of these names, in their order, the hold that ends last of those that are not lifted, run out or not.

        What is answered holds for the epoch; which of them are in force changes with the clock.
        """
        ...

    def find(self, names: Collection[HoldTarget], at: UnixMillis) -> Hold | None:
        """The first of `standing` that is in force at this time; None when there is none."""
        ...

    def get(self, hold: HoldId) -> Hold | None:
        """The hold of this id, in force or not. May read."""
        ...

    def place(self, hold: Hold) -> Hold:
        """Put it into force. Where one of the same placer on the same name is in force and ends no earlier, that one
        stands, and is returned. May wait. Where it cannot be written it is in force in this process all the same, and
        stays so until it is (`register.behind`)."""
        ...

    def replace(self, hold: Hold, *, was: Hold) -> bool:
        """Put `hold` where `was` is: agreed to by one more person, or lifted; False when somebody else changed it
        meanwhile. When it has returned, every process sees it. May wait."""
        ...

    def put_back(self, holds: Collection[Hold]) -> int:
        """Those whose id is not known, as they are, and as recorded, with one write: all or none; returns how many
        there were. May wait."""
        ...

    def put_right(self, holds: Collection[Hold]) -> None:
        """These instead of what is known under their ids, as recorded, with one write: nobody sees any of them gone.
        May wait."""
        ...

    def all(self) -> Iterable[Hold]:
        """Every hold, newest first; lifted ones and those that have run out, too. May read."""
        ...

    def unrecorded(self) -> Sequence[Hold]:
        """Those of which `recorded` was not told yet, oldest first, at most UNRECORDED_MAX. May read."""
        ...

    def is_recorded(self, hold: HoldId) -> bool:
        """Whether `recorded` was told of it, however many others wait; False for one that is not known. May read."""
        ...

    def recorded(self, holds: Iterable[HoldId]) -> None:
        """The ledger has them. May wait."""
        ...

    def unreported(self) -> Sequence[Hold]:
        """Those that the ledger has and of which `reported` was not told yet, oldest first, at most UNRECORDED_MAX. May
        read."""
        ...

    def reported(self, holds: Iterable[HoldId]) -> None:
        """The ledger has what came of them. May wait."""
        ...
