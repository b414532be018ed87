"""Which leases are out where the target itself keeps none: what each may do, until when, and what is open with it.

Laws: a name is out once; what has ended or is past its time serves nothing more, whoever still holds its credential;
ending is done once, cuts what is open, and says how much that was. Nothing here outlives the process.
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
    """One lease. kept: what its issuer knows of it. expires_at: first instant at which it serves nothing.

    is_ended: it serves nothing more, and stays known until the target was told.
    """

    name: LeaseName
    kept: Kept
    expires_at: UnixMillis
    is_ended: bool = False
    cuts: list[Callable[[], None]] = field(default_factory=list)


class CheckOuts(Generic[Kept]):
    """The leases that are out. For one event loop."""

    def __init__(self) -> None:
        self._out: dict[LeaseName, CheckOut[Kept]] = {}
        self._fading: list[tuple[int, LeaseName]] = []

    def put(self, name: LeaseName, kept: Kept, expires_at: UnixMillis, *, now: int = 0) -> CheckOut[Kept]:
        """From now on it is out. now: what faded until then is forgotten. Raises Refused (`lease.taken`,
        `lease.crowd`)."""
        while self._fading and self._fading[0][0] <= now:
            self.drop(heappop(self._fading)[1])
        if name in self._out:
            raise LEASE_TAKEN(f"the lease {shown(name)} has been issued already")
        if len(self._out) >= LEASES_MAX:
            raise LEASE_CROWD(f"more than {LEASES_MAX} leases are out at this target")
        out = self._out[name] = CheckOut(name=name, kept=kept, expires_at=expires_at)
        return out

    def find(self, name: LeaseName) -> CheckOut[Kept] | None:
        """The one of this name, also when it has ended."""
        return self._out.get(name)

    def serving(self, name: LeaseName, at: UnixMillis) -> CheckOut[Kept]:
        """The one of this name, if it serves. Raises Refused (`lease.gone`)."""
        out = self._out.get(name)
        if out is None or out.is_ended or at >= out.expires_at:
            raise LEASE_GONE(f"the lease {shown(name)} has ended, or was never issued")
        return out

    def end(self, name: LeaseName) -> int:
        """Nothing is done with it any more; how many sessions were cut. It stays known until `drop`."""
        out = self._out.get(name)
        if out is None:
            return 0
        out.is_ended = True
        cuts, out.cuts = out.cuts, []
        for cut in cuts:
            cut()
        return len(cuts)

    def fade(self, name: LeaseName, until: int) -> None:
        """It ended, and what it left may work until then: so long it stays known, and no longer."""
        heappush(self._fading, (until, name))

    def drop(self, name: LeaseName) -> None:
        """Forget it."""
        self._out.pop(name, None)

    def names(self) -> tuple[LeaseName, ...]:
        """Every lease that is known, sorted."""
        return tuple(sorted(self._out))
