"""Port: the revocations of a deployment; a revocation by one process applies in every process from its next call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.core.mandate.revocation import Revocation, RevocationTarget

UNRECORDED_MAX = 1_000
"""Maximum size of one answer of `unrecorded`."""


class RevocationRegister(Protocol):
    """Promises: what `add` stored is on stable storage when it returns, and from then on every `find` of every process
    on the same register sees it, also of a process that was suspended meanwhile; nothing added is ever changed or
    removed.

    `epoch` and `find` are synchronous, thread-safe, and do no I/O while nothing was added anywhere. A register whose
    state is uncertain raises Unavailable; it never answers as if nothing were revoked.

    Raises only Unavailable (`register.*`).
    """

    def epoch(self) -> int:
        """Return a number that differs after every `add` by any process; costs well under a microsecond.

        An answer found under one epoch is valid while the next call returns the same number. Takes over what other
        processes added.
        """
        ...

    def find(self, names: Collection[RevocationTarget]) -> Revocation | None:
        """Return the first revocation of any of these names, in the order of the names; None when there is none."""
        ...

    def add(self, revocation: Revocation) -> bool:
        """Put a revocation into force. False when that name was revoked before: the first revocation stays. May wait. A
        revocation that cannot be written is in force in this process all the same, and stays so until it is written
        (`register.behind`)."""
        ...

    def add_all(self, revocations: Collection[Revocation]) -> int:
        """Call `add` for each revocation in one write, all or none; return how many names were not revoked before. The
        number of revocations is not limited. May wait."""
        ...

    def all(self) -> Iterable[Revocation]:
        """Return every revocation, newest first."""
        ...

    def unrecorded(self) -> Sequence[Revocation]:
        """Return the revocations not yet passed to `recorded`, oldest first, at most UNRECORDED_MAX. May read."""
        ...

    def recorded(self, names: Iterable[RevocationTarget]) -> None:
        """Note that the ledger contains the revocations of these names. May wait."""
        ...
