"""Port: what was ended for good, as every process of a deployment sees it at its next call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.core.mandate.revocation import Revocation, RevocationTarget

UNRECORDED_MAX = 1_000
"""Of one answer of `unrecorded`."""


class RevocationRegister(Protocol):
    """Promises: what `add` took is on stable storage when it returns, and from then on every `find` of every process on
    the same register sees it, also of one that slept meanwhile; nothing that was added is ever changed or removed.

    `epoch` and `find` are synchronous, safe for several threads, and do no I/O while nothing was added anywhere. A
    register that cannot say for sure what was added raises Unavailable; it never answers as if nothing were.

    Raises only Unavailable (`register.*`).
    """

    def epoch(self) -> int:
        """A number that is another one after every `add`, of whatever process; costs well under a microsecond.

        What was found out under one epoch holds while the next call gives the same number. Takes over what others have
        added.
        """
        ...

    def find(self, names: Collection[RevocationTarget]) -> Revocation | None:
        """The first revocation of any of these names, in the order of the names; None when there is none."""
        ...

    def add(self, revocation: Revocation) -> bool:
        """Put it into force. False when that name was revoked before: the first revocation stands. May wait. Where it
        cannot be written it is in force in this process all the same, and stays so until it is (`register.behind`)."""
        ...

    def add_all(self, revocations: Collection[Revocation]) -> int:
        """As `add` for each of them, with one write: all or none; returns how many names were not revoked before. For
        as many as there are. May wait."""
        ...

    def all(self) -> Iterable[Revocation]:
        """Every revocation, newest first."""
        ...

    def unrecorded(self) -> Sequence[Revocation]:
        """Those of which `recorded` was not told yet, oldest first, at most UNRECORDED_MAX. May read."""
        ...

    def recorded(self, names: Iterable[RevocationTarget]) -> None:
        """The ledger has them. May wait."""
        ...
