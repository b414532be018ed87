"""A lease: one credential at one target, for one recorded action or for the actions of one task window.

    named ──► issued ──► ended
      │         │          ▲
      └─────────┴─► unrevoked (retried until it is gone)

Laws: a lease is named, durably, before the target is called; it never outlives the order that named it; an ended lease
never becomes valid again; a lease that could not be revoked stays `unrevoked`, with the reason, until it is gone, after
any number of attempts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.name import LeaseName
from answerable.core.registry.documents.lease_template import LEASE_WINDOWS, LeaseWindow
from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_STATE, LEASE_WINDOW

if TYPE_CHECKING:
    from answerable.core.lease.credential import Revoked

LeaseState = Literal["named", "issued", "unrevoked", "ended"]
LEASE_STATES: Final[tuple[LeaseState, ...]] = get_args(LeaseState)
LeaseEnd = Literal["", "revoked", "expired", "not_issued"]
LEASE_ENDS: Final[tuple[LeaseEnd, ...]] = get_args(LeaseEnd)

FAULT_CHARS_MAX: Final = 240
LEFT_MAX: Final = 16
PAUSE_MS_MIN: Final = 250
PAUSE_MS_MAX: Final = 60_000
_DOUBLINGS_MAX: Final = 10

Under = tuple[str, str]
"""Kind and name of something the lease depends on: when that is ended or held, so is the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease in its current state. log, intent: the entry that named it; a lease of a task window keeps the first.
    under: see Under; the nearest first. scope: SHA-256 of what it may do, hex. account: its name at the target; empty
    before it was issued.

    Times are Unix milliseconds, 0 for not yet. expires_at: first instant at which it is no longer valid. uses: number
    of actions that used it. why: the reason of its end. fault: why the last revocation failed, cut. attempts: failed
    revocations. live_until, left: what remained when it ended, as the issuer reported.
    """

    name: LeaseName
    target: str
    window: LeaseWindow
    log: str
    intent: int
    mandate: str
    agent: str
    capability: str
    under: tuple[Under, ...]
    scope: str
    named_at: UnixMillis
    expires_at: UnixMillis
    state: LeaseState = "named"
    account: str = ""
    issued_at: int = 0
    used_at: int = 0
    uses: int = 0
    renewed_at: int = 0
    ended_at: int = 0
    end: LeaseEnd = ""
    why: str = ""
    fault: str = ""
    attempts: int = 0
    next_try_at: int = 0
    sessions_cut: int = 0
    live_until: int = 0
    left: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether something of it may be live."""
        return self.state != "ended"

    def is_usable(self, at: UnixMillis) -> bool:
        """Whether an action may start with it."""
        return self.state == "issued" and at < self.expires_at

    def issued(self, at: UnixMillis, *, account: str, expires_at: UnixMillis) -> Lease:
        """Return the lease after the target issued it. Raises Broken (`lease.state`) unless it was only named."""
        self._require("named")
        return replace(
            self,
            state="issued",
            account=account,
            issued_at=at,
            expires_at=min(self.expires_at, expires_at),
        )

    def used(self, at: UnixMillis) -> Lease:
        """Return the lease before an action starts with it. Raises Broken (`lease.state`)."""
        self._require("issued")
        return replace(self, used_at=at, uses=self.uses + 1)

    def renewed(self, at: UnixMillis, expires_at: UnixMillis) -> Lease:
        """Return the lease with a later expiry. Raises Broken (`lease.state`)."""
        self._require("issued")
        return replace(self, renewed_at=at, expires_at=max(self.expires_at, expires_at))

    def ended(self, at: UnixMillis, revoked: Revoked, *, why: str) -> Lease:
        """Return the ended lease, of which nothing works except what `revoked` says. Ending again changes nothing."""
        if self.state == "ended":
            return self
        # Of a recalled lease, which has no scope, it is unknown whether it was issued and when its time was up.
        end: LeaseEnd = "expired" if self.scope and at >= self.expires_at else "revoked"
        was_issued = self.state != "named" or bool(revoked.sessions_cut) or not self.scope
        return replace(
            self,
            state="ended",
            end=end if was_issued else "not_issued",
            ended_at=at,
            why=self.why or why,
            fault="",
            next_try_at=0,
            sessions_cut=self.sessions_cut + revoked.sessions_cut,
            live_until=revoked.live_until,
            left=revoked.left[:LEFT_MAX],
        )

    def unrevoked(self, at: UnixMillis, fault: str, *, why: str, jitter: float) -> Lease:
        """Return the lease after a failed revocation, with the time of the next attempt. jitter: 0 to 1, random."""
        if self.state == "ended":
            return self
        return replace(
            self,
            state="unrevoked",
            why=self.why or why,
            fault=fault[:FAULT_CHARS_MAX],
            attempts=self.attempts + 1,
            next_try_at=at + pause_ms(self.attempts, jitter),
        )

    def _require(self, state: LeaseState) -> None:
        if self.state != state:
            raise LEASE_STATE(f"lease {self.name} is {self.state}, not {state}")


def pause_ms(attempts: int, jitter: float) -> int:
    """Return the pause after this many earlier failures: doubled each time up to a minute, minus up to a random
    quarter."""
    whole = min(PAUSE_MS_MAX, PAUSE_MS_MIN << min(attempts, _DOUBLINGS_MAX))
    return int(whole * (1 - jitter / 4))


def lease_window(text: str) -> LeaseWindow:
    """Validate an untrusted window. Raises Malformed (`lease.window`)."""
    for one in LEASE_WINDOWS:
        if one == text:
            return one
    raise LEASE_WINDOW(f"unknown lease window {shown(text, 40)}: expected one of {', '.join(LEASE_WINDOWS)}")
