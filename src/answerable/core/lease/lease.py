"""A lease: one credential at one target, for one recorded action or for the actions of one task window.

    named ──► issued ──► ended
      │         │          ▲
      └─────────┴─► unrevoked (tried again until it is gone)

Laws: a lease is named, durably, before the target is asked for anything; it never outlives the order that named it;
what ended never comes back; what could not be revoked stays `unrevoked`, with the reason, until it is gone, and no
number of attempts makes it anything else.
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
"""Kind and name of something that the lease stands under: when that is ended or held, so is the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """log, intent: the entry that named it; a lease of a task window keeps the first. under: see Under; the nearest
    first. scope: SHA-256 of what it may do, hex. account: its name at the target; empty before it was issued.

    Times are Unix milliseconds, 0 for not yet. expires_at: first instant at which it is good for nothing. uses: actions
    that it was used for. why: why it was to end. fault: why it could not be revoked the last time, cut. attempts: to
    revoke it that failed. live_until, left: what remained when it ended, as the issuer said.
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
        """Whether an action may be begun with it."""
        return self.state == "issued" and at < self.expires_at

    def issued(self, at: UnixMillis, *, account: str, expires_at: UnixMillis) -> Lease:
        """The target knows it. Raises Broken (`lease.state`) unless it was only named."""
        self._require("named")
        return replace(
            self,
            state="issued",
            account=account,
            issued_at=at,
            expires_at=min(self.expires_at, expires_at),
        )

    def used(self, at: UnixMillis) -> Lease:
        """An action is about to be begun with it. Raises Broken (`lease.state`)."""
        self._require("issued")
        return replace(self, used_at=at, uses=self.uses + 1)

    def renewed(self, at: UnixMillis, expires_at: UnixMillis) -> Lease:
        """It lives longer. Raises Broken (`lease.state`)."""
        self._require("issued")
        return replace(self, renewed_at=at, expires_at=max(self.expires_at, expires_at))

    def ended(self, at: UnixMillis, revoked: Revoked, *, why: str) -> Lease:
        """Nothing of it works any more but what `revoked` says. Ending again changes nothing."""
        if self.state == "ended":
            return self
        end: LeaseEnd = "expired" if at >= self.expires_at else "revoked"
        # Of one that was recalled, nobody knows whether it was issued: it has no scope.
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
        """Revoking it failed; when it is tried again. jitter: 0 to 1, random."""
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
    """How long to wait after so many failures before: doubled each time up to a minute, and a random quarter less."""
    whole = min(PAUSE_MS_MAX, PAUSE_MS_MIN << min(attempts, _DOUBLINGS_MAX))
    return int(whole * (1 - jitter / 4))


def lease_window(text: str) -> LeaseWindow:
    """Take a window from outside. Raises Malformed (`lease.window`)."""
    for one in LEASE_WINDOWS:
        if one == text:
            return one
    raise LEASE_WINDOW(f"{shown(text, 40)} is no window of leases: there are {', '.join(LEASE_WINDOWS)}")
