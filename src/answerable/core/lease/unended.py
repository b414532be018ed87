"""Remember what a process minted at a target that cannot list or revoke its credentials.

Laws: whatever was begun is live until it was ended or has expired; a name that this process never began is gone only if
no earlier process can have left it, which is uncertain until the longest lifetime has passed since the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.lease.credential import Revoked
from answerable.errors.codes.leases import LEASE_TAKEN

if TYPE_CHECKING:
    from answerable.core.lease.name import LeaseName


class Unended:
    """The live leases of one issuer in one process."""

    def __init__(self, *, started_at: int, life_ms_max: int) -> None:
        """started_at: when this process began to mint. life_ms_max: the longest lifetime at the target."""
        self._known_from = started_at + life_ms_max
        self._live: dict[LeaseName, int] = {}

    def begin(self, name: LeaseName, *, expires_at: int, now: int) -> None:
        """Remember a lease before the target is called. Raises Refused (`lease.taken`)."""
        if self._live.get(name, 0) > now:
            raise LEASE_TAKEN(f"a lease named `{name}` is live already")
        for one in [one for one, until in self._live.items() if until <= now]:
            del self._live[one]
        self._live[name] = expires_at

    def end(self, name: LeaseName) -> None:
        """Note that the lease is gone at the target."""
        self._live.pop(name, None)

    def live(self, now: int) -> tuple[LeaseName, ...]:
        """Return the leases that may still work."""
        return tuple(sorted(name for name, until in self._live.items() if until > now))

    def until(self, name: LeaseName, now: int) -> int:
        """Return until when a lease may work, whichever process began it; 0 for never."""
        until = self._live.get(name, self._known_from)
        return until if until > now else 0

    def left(self, name: LeaseName, *, now: int, why: str) -> Revoked:
        """Return the result of a revocation that cannot end the lease. why: for a lease that this process began."""
        until = self.until(name, now)
        if not until:
            return Revoked()
        told = why if name in self._live else f"a process before this one may have minted it: {why}"
        return Revoked(left=(told,), live_until=until)
