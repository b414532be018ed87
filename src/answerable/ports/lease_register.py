"""Port: the leases of one broker, and the warrants redeemed there."""

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
"""Maximum size of one answer of `changes`."""

Taken = Literal["taken", "spent", "name_used"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """One redemption of the warrant of intent `intent` in the log `log`. lease: the lease it creates; None where it
    uses an existing one. deadline: after it the warrant is refused anyway, so that its redemption may be removed."""

    log: str
    intent: int
    deadline: UnixMillis
    lease: Lease | None


class LeaseChange(NamedTuple):
    """One change of a lease. number: increases with every change of any lease, never reused."""

    number: int
    lease: Lease


class LeaseRegister(Protocol):
    """Promises: what `redeem` and `put` stored is on stable storage when they return, in one transaction each; a
    warrant is redeemed once, whatever the calls and crashes; a name is used once, until it is removed; a change of a
    lease has a number above all earlier ones, and `changes` holds only the last state of a lease.

    One process at a time has the register open: another one is refused (`register.in_use`). Thread-safe. Raises only
    Unavailable (`register.*`).
    """

    def redeem(self, redemptions: Sequence[Redemption]) -> list[Taken]:
        """For each redemption, in order, return whether it was stored, its warrant was redeemed before, or its lease
        name was used before; the latter two store nothing. May wait."""
        ...

    def put(self, leases: Sequence[Lease]) -> None:
        """Store the new state of these leases. Also accepts names that nobody redeemed. May wait."""
        ...

    def get(self, name: LeaseName) -> Lease | None:
        """Return the lease of this name."""
        ...

    def open_leases(self) -> Iterator[Lease]:
        """Return every lease of which something may be live, in the order of their changes."""
        ...

    def ended(self, limit: int) -> Sequence[Lease]:
        """Return the leases that ended last, the last first."""
        ...

    def left(self, at: UnixMillis, limit: int, *, after: str = "") -> Sequence[Lease]:
        """Return ended leases of which something still works at this time, by name, starting after `after`. A standing
        credential, such as a static secret, does not count as part of a lease."""
        ...

    def changes(self, log: str, after: int, limit: int = CHANGES_MAX) -> Sequence[LeaseChange]:
        """Return the leases of this log that changed after the change of this number, in the order of their last
        changes."""
        ...

    def acknowledged(self, log: str) -> int | None:
        """Return the change up to which the process that keeps this log has acknowledged recording all its leases. None
        until its first acknowledgement, so that a log kept with another register before is recognised."""
        ...

    def acknowledge(self, log: str, number: int) -> None:
        """Store an acknowledgement. Never goes back. May be lost in a crash: then it is sent again."""
        ...

    def last_change(self) -> int:
        """Return the number of the last change; 0 before the first."""
        ...

    def forget(self, *, ended_before: UnixMillis, limit: int) -> int:
        """Remove leases that ended before, and of which nothing may be live, and warrants whose deadline passed before;
        at most `limit` of each. Return the number of leases."""
        ...
