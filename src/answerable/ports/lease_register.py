"""Port: the leases of one broker, and the warrants that were redeemed there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.lease import Lease
    from answerable.core.lease.name import LeaseName

PORT = "lease_register"
CHANGES_MAX = 1_000
"""Of one answer of `changes`."""

Taken = Literal["taken", "spent", "name_used"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """A warrant is redeemed: that of intent `intent` in the log `log`. lease: what is named with it; None where it uses
    one that is there. deadline: after it the warrant is refused anyway, so that it may be forgotten."""

    log: str
    intent: int
    deadline: UnixMillis
    lease: Lease | None


class LeaseChange(NamedTuple):
    """number: grows with every change of any lease, never reused."""

    number: int
    lease: Lease


class LeaseRegister(Protocol):
    """Promises: what `redeem` and `put` took is on stable storage when they return, in one transaction each; a warrant
    is redeemed once, by whatever call and after whatever crash; a name is used once, until it is forgotten; a change of
    a lease has a number above all earlier ones, and a lease is in `changes` with its last state alone.

    One process at a time has it open: another one is refused (`register.in_use`). Safe for several threads.
    Raises only Unavailable (`register.*`).
    """

    def redeem(self, redemptions: Sequence[Redemption]) -> list[Taken]:
        """Of each, in order: whether it was taken, was redeemed before, or the name of its lease was used before; the
        latter two leave nothing behind. May wait."""
        ...

    def put(self, leases: Sequence[Lease]) -> None:
        """These leases stand so from now on. Names that nobody redeemed are taken, too. May wait."""
        ...

    def get(self, name: LeaseName) -> Lease | None:
        """The lease of this name."""
        ...

    def open_leases(self) -> Iterator[Lease]:
        """Every lease of which something may be live, in the order of their changes."""
        ...

    def ended(self, limit: int) -> Sequence[Lease]:
        """The leases that ended last, the last first."""
        ...

    def left(self, at: UnixMillis, limit: int, *, after: str = "") -> Sequence[Lease]:
        """The leases that ended and of which something works still at this time, by name, after this one. What stands
        for good, as a static secret does, is no lease's."""
        ...

    def changes(self, log: str, after: int, limit: int = CHANGES_MAX) -> Sequence[LeaseChange]:
        """The leases of this log that changed after the change of this number, in the order of their last changes."""
        ...

    def acknowledged(self, log: str) -> int | None:
        """Up to which change the keeper of this log has written down all of its leases, as it said; None as long as it
        has said nothing, so that whoever kept a log with another register is told apart."""
        ...

    def acknowledge(self, log: str, number: int) -> None:
        """It has written them down up to here. Never goes back. May be lost in a crash: then it is told again."""
        ...

    def last_change(self) -> int:
        """The number of the last change; 0 before the first."""
        ...

    def forget(self, *, ended_before: UnixMillis, limit: int) -> int:
        """Forget leases that ended before, nothing of which may be live, and warrants whose deadline passed before; no
        more than `limit` of each. How many leases."""
        ...
