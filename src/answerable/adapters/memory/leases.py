"""Leases in memory: for tests, and for nothing that must survive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import INTEGER_MAX
from answerable.ports.lease_register import CHANGES_MAX, LeaseChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.identity.principal import UnixMillis
    from answerable.core.lease.lease import Lease
    from answerable.core.lease.name import LeaseName
    from answerable.ports.lease_register import Redemption, Taken


class MemoryLeaseRegister:
    """Port LeaseRegister."""

    def __init__(self) -> None:
        self._leases: dict[LeaseName, LeaseChange] = {}
        self._warrants: dict[tuple[str, int], UnixMillis] = {}
        self._acknowledged: dict[str, int] = {}
        self._last = 0

    def redeem(self, redemptions: Sequence[Redemption]) -> list[Taken]:
        """As the port says."""
        return [self._redeemed(one) for one in redemptions]

    def _redeemed(self, one: Redemption) -> Taken:
        if (one.log, one.intent) in self._warrants:
            return "spent"
        if one.lease is not None:
            if one.lease.name in self._leases:
                return "name_used"
            self.put([one.lease])
        self._warrants[one.log, one.intent] = one.deadline
        return "taken"

    def put(self, leases: Sequence[Lease]) -> None:
        """As the port says."""
        for lease in leases:
            self._last += 1
            self._leases[lease.name] = LeaseChange(self._last, lease)

    def get(self, name: LeaseName) -> Lease | None:
        """As the port says."""
        found = self._leases.get(name)
        return None if found is None else found.lease

    def open_leases(self) -> Iterator[Lease]:
        """As the port says."""
        yield from [
            change.lease
            for change in sorted(self._leases.values(), key=lambda one: one.number)
            if change.lease.is_open
        ]

    def ended(self, limit: int) -> Sequence[Lease]:
        """As the port says."""
        found = [change for change in self._leases.values() if not change.lease.is_open]
        found.sort(key=lambda change: (-change.lease.ended_at, -change.number))
        return [change.lease for change in found[:limit]]

    def left(self, at: UnixMillis, limit: int, *, after: str = "") -> Sequence[Lease]:
        """As the port says."""
        found = [
            change.lease
            for name, change in sorted(self._leases.items())
            if not change.lease.is_open and at < change.lease.live_until < INTEGER_MAX and name > after
        ]
        return found[:limit]

    def changes(self, log: str, after: int, limit: int = CHANGES_MAX) -> Sequence[LeaseChange]:
        """As the port says."""
        found = [one for one in self._leases.values() if one.lease.log == log and one.number > after]
        return sorted(found, key=lambda change: change.number)[: min(limit, CHANGES_MAX)]

    def acknowledged(self, log: str) -> int | None:
        """As the port says."""
        return self._acknowledged.get(log)

    def acknowledge(self, log: str, number: int) -> None:
        """As the port says."""
        self._acknowledged[log] = max(number, self._acknowledged.get(log, 0))

    def last_change(self) -> int:
        """As the port says."""
        return self._last

    def forget(self, *, ended_before: UnixMillis, limit: int) -> int:
        """As the port says."""
        ended = [
            change.lease
            for change in self._leases.values()
            if not change.lease.is_open
            and change.lease.ended_at < ended_before
            and not ended_before <= change.lease.live_until < INTEGER_MAX
        ]
        gone = sorted(ended, key=lambda lease: lease.ended_at)[:limit]
        for lease in gone:
            del self._leases[lease.name]
        late = sorted((at, key) for key, at in self._warrants.items() if at < ended_before)[:limit]
        for _, key in late:
            del self._warrants[key]
        return len(gone)
