"""Track the leases of a target that keeps none itself: what each may do, until when, and its open sessions.

Laws: a name is checked out once; a lease that has ended or expired serves nothing more, whoever still holds its
credential; ending happens once, cuts the open sessions, and returns their number. The state is lost when the process
ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_CROWD, LEASE_GONE, LEASE_TAKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.name import LeaseName

Kept = TypeVar("Kept")

LEASES_MAX: Final = 100_000


@dataclass(slots=True, kw_only=True)
class CheckOut(Generic[Kept]):
    """One lease. kept: the issuer's data about it. expires_at: first instant at which it serves nothing.

    is_ended: it serves nothing more, and stays known until the target was informed.
    """

    name: LeaseName
    kept: Kept
    expires_at: UnixMillis
    is_ended: bool = False
    cuts: list[Callable[[], None]] = field(default_factory=list)


class CheckOuts(Generic[Kept]):
    """The leases of one target. For one event loop."""

    def __init__(self) -> None:
        self._out: dict[LeaseName, CheckOut[Kept]] = {}
        self._fading: list[tuple[int, LeaseName]] = []

    def put(self, name: LeaseName, kept: Kept, expires_at: UnixMillis, *, now: int = 0) -> CheckOut[Kept]:
        """Add a lease. now: forget the ended leases whose remainder expired by then. Raises Refused (`lease.taken`,
        `lease.crowd`)."""
        while self._fading and self._fading[0][0] <= now:
            self.drop(heappop(self._fading)[1])
        if name in self._out:
            raise LEASE_TAKEN(f"lease {shown(name)} was issued already")
        if len(self._out) >= LEASES_MAX:
            raise LEASE_CROWD(f"more than {LEASES_MAX} leases are open at this target")
        out = self._out[name] = CheckOut(name=name, kept=kept, expires_at=expires_at)
        return out

    def find(self, name: LeaseName) -> CheckOut[Kept] | None:
        """Return the lease of this name, including an ended one."""
        return self._out.get(name)

    def serving(self, name: LeaseName, at: UnixMillis) -> CheckOut[Kept]:
        """Return the lease of this name, if it is valid. Raises Refused (`lease.gone`)."""
        out = self._out.get(name)
        if out is None or out.is_ended or at >= out.expires_at:
            raise LEASE_GONE(f"lease {shown(name)} has ended or was never issued")
        return out

    def end(self, name: LeaseName) -> int:
        """End the lease and return how many sessions were cut. It stays known until `drop`."""
        out = self._out.get(name)
        if out is None:
            return 0
        out.is_ended = True
        cuts, out.cuts = out.cuts, []
        for cut in cuts:
            cut()
        return len(cuts)

    def fade(self, name: LeaseName, until: int) -> None:
        """Keep an ended lease known until this time, because what it left may work until then."""
        heappush(self._fading, (until, name))

    def drop(self, name: LeaseName) -> None:
        """Remove the lease."""
        self._out.pop(name, None)

    def names(self) -> tuple[LeaseName, ...]:
        """Return every known lease, sorted."""
        return tuple(sorted(self._out))
