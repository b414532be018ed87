"""The signing authorities of our trust domain: generations that are prepared, then active, then old, then gone.

Laws:
- a generation moves prepared -> active -> old -> removed, never back, and may be removed from any of them;
- at most one is active, and it is in the bundle before and after: published for `TrustLimits.announce_millis` before
  time makes it active, and until all that it signed has run out;
- what is removed is out of the bundle at once and for good;
- the sequence of the bundle grows with every change of what is in it, and never otherwise (SPIFFE Trust Domain and
  Bundle, section 4.1.1);
- a clock that is set back moves nothing: no generation becomes younger, and none signs before it is valid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Unavailable, shown
from answerable.errors.codes.identity import (
    AUTHORITY_EXPIRED,
    AUTHORITY_LIMITS,
    AUTHORITY_NONE,
    AUTHORITY_NOT_PREPARED,
    AUTHORITY_NOT_YET_VALID,
    AUTHORITY_SET,
    AUTHORITY_STATE_BROKEN,
    AUTHORITY_TOO_MANY,
    AUTHORITY_UNKNOWN,
)

AuthorityState = Literal["prepared", "active", "old", "removed"]
STATES: Final[tuple[AuthorityState, ...]] = ("prepared", "active", "old", "removed")
"""In the only order in which a generation passes through them."""

AUTHORITIES_MAX: Final = 32
"""Generations that are remembered at once, removed ones among them until they would have run out."""
ID_BYTES: Final = 16
BACKDATE_MILLIS: Final = 60_000
"""A new authority is valid from this long before it was made, for readers whose clocks are behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustLimits:
    """How long things live and how often others look. Raises Malformed (`authority.limits`) when they do not fit."""

    x509_seconds: int = 3_600
    jwt_seconds: int = 300
    ca_seconds: int = 86_400
    refresh_hint_seconds: int = 300

    def __post_init__(self) -> None:
        if min(self.x509_seconds, self.jwt_seconds, self.ca_seconds, self.refresh_hint_seconds) < 1:
            raise AUTHORITY_LIMITS("lifetimes and the refresh hint are at least 1 second")
        if max(self.x509_seconds, self.jwt_seconds) * 6 > self.ca_seconds:
            raise AUTHORITY_LIMITS(
                f"an authority lives at least 6 times as long as what it signs, not {self.ca_seconds} seconds"
            )
        if self.announce_millis * 3 > self.ca_seconds * 1000:
            raise AUTHORITY_LIMITS(
                f"an authority of {self.ca_seconds} seconds cannot be announced for {self.announce_millis // 1000} "
                "(refresh hint and half an X.509-SVID's life): a third of its life must hold that"
            )

    @property
    def announce_millis(self) -> int:
        """How long a new authority is in the bundle before time lets it sign: one refresh hint, and half the life of
        an X.509-SVID, after which those who hold one have fetched again."""
        return self.refresh_hint_seconds * 1000 + self.x509_seconds * 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """One generation: an X.509, a JWT and a WIT authority. Keys are named here and kept in ports.authority_keys.

    id: 32 hex digits. certificate: DER. jwt_jwk, wit_jwk: public keys as canonical JWKs, known in the bundle by their
    thumbprints jwt_kid and wit_kid. since: when it came into its present state.
    """

    id: str
    state: AuthorityState
    certificate: bytes
    jwt_kid: str
    jwt_jwk: str
    wit_kid: str
    wit_jwk: str
    not_before: UnixMillis
    not_after: UnixMillis
    prepared_at: UnixMillis
    since: UnixMillis

    @property
    def x509_key(self) -> str:
        """Name of the key that signs X.509-SVIDs."""
        return key_names(self.id)[0]

    @property
    def jwt_key(self) -> str:
        """Name of the key that signs JWT-SVIDs."""
        return key_names(self.id)[1]

    @property
    def wit_key(self) -> str:
        """Name of the key that signs WIT-SVIDs."""
        return key_names(self.id)[2]

    @property
    def is_published(self) -> bool:
        """Whether it is in the bundle."""
        return self.state != "removed"

    @property
    def may_sign(self) -> bool:
        """Whether its private keys are still needed."""
        return self.state in ("prepared", "active")

    def is_valid(self, now: UnixMillis) -> bool:
        """Whether its certificate is good at this time."""
        return self.not_before <= now < self.not_after

    def share_passed(self, now: UnixMillis, numerator: int, denominator: int) -> bool:
        """Whether that share of its life is over."""
        return (now - self.not_before) * denominator >= (self.not_after - self.not_before) * numerator


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritySet:
    """All generations of a trust domain, oldest first, and the sequence of its bundle.

    revision: counts every change, for compare-and-swap. beginning: the generation whose keys are being made, so that a
    crash leaves none behind unseen; empty when none is.
    """

    authorities: tuple[Authority, ...]
    sequence: int
    revision: int
    beginning: str = ""

    def __post_init__(self) -> None:
        """Raises Malformed (`authority.set`)."""
        ids = [authority.id for authority in self.authorities]
        if len(set(ids)) != len(ids) or len(ids) > AUTHORITIES_MAX:
            raise AUTHORITY_SET(f"at most {AUTHORITIES_MAX} authorities, each once, got {len(ids)}")
        if sum(authority.state == "active" for authority in self.authorities) > 1:
            raise AUTHORITY_SET("two authorities are active")
        if self.sequence < 0 or self.revision < 0:
            raise AUTHORITY_SET("sequence and revision are not negative")

    @property
    def active(self) -> Authority | None:
        """The one that signs."""
        return next((a for a in self.authorities if a.state == "active"), None)

    @property
    def prepared(self) -> Authority | None:
        """The one that signs next: the oldest that waits."""
        return next((a for a in self.authorities if a.state == "prepared"), None)

    @property
    def published(self) -> tuple[Authority, ...]:
        """What is in the bundle."""
        return tuple(a for a in self.authorities if a.is_published)

    def find(self, authority_id: str) -> Authority | None:
        """The generation of this id, or None."""
        return next((a for a in self.authorities if a.id == authority_id), None)


Step = Literal["prepare", "activate", "replace", "drop"]


def key_names(authority_id: str) -> tuple[str, str, str]:
    """Names of the X.509, JWT and WIT key of a generation, known before it is made."""
    return f"{authority_id}-x509", f"{authority_id}-jwt", f"{authority_id}-wit"


def step_due(current: AuthoritySet, now: UnixMillis, limits: TrustLimits) -> Step | None:
    """What time asks for next; ask again after each step until it is None.

    drop: something has run out. prepare: half of the active one's life is over and nobody waits. activate: five
    sixths are over, and the next one has been announced for long enough, or the active one has run out. replace: there
    is none that could sign, so a new one is made and signs at once, announced or not.
    """
    if any(a.not_after <= now for a in current.authorities if a.state != "active"):
        return "drop"
    active, waiting = current.active, current.prepared
    ready = waiting is not None and waiting.is_valid(now)
    if active is None or active.not_after <= now:
        return "activate" if ready else "replace"
    if waiting is None:
        return "prepare" if active.share_passed(now, 1, 2) else None
    announced = now - waiting.prepared_at >= limits.announce_millis
    return "activate" if ready and announced and active.share_passed(now, 5, 6) else None


def with_prepared(current: AuthoritySet, new: Authority) -> AuthoritySet:
    """Where there is no room, the ones that were removed first are forgotten before their time.

    Raises Refused (`authority.too_many`), Broken (`authority.state`).
    """
    require_room(current)
    if new.state != "prepared" or current.find(new.id) is not None:
        raise AUTHORITY_STATE_BROKEN()
    removed = [a.id for a in current.authorities if not a.is_published]
    forgotten = removed[: max(0, len(current.authorities) + 1 - AUTHORITIES_MAX)]
    kept = tuple(a for a in current.authorities if a.id not in forgotten)
    return _changed(current, (*kept, new), new.prepared_at)


def with_active(current: AuthoritySet, authority_id: str, now: UnixMillis) -> AuthoritySet:
    """Let a prepared one sign; the one that did is old from now on.

    Raises Refused (`authority.not_prepared`), Unavailable (`authority.not_yet_valid`) while it is not valid.
    """
    chosen = current.find(authority_id)
    if chosen is None or chosen.state != "prepared":
        raise AUTHORITY_NOT_PREPARED(f"authority {shown(authority_id, 40)} is not prepared")
    if not chosen.is_valid(now):
        raise _not_valid(chosen, now)
    after = tuple(_activated(a, authority_id, now) for a in current.authorities)
    return _changed(current, after, now)


def without(current: AuthoritySet, authority_id: str, now: UnixMillis) -> AuthoritySet:
    """Take one out of the bundle, at once and for good. Raises Refused (`authority.unknown`) unless it is in it."""
    chosen = current.find(authority_id)
    if chosen is None or not chosen.is_published:
        raise AUTHORITY_UNKNOWN(f"authority {shown(authority_id, 40)} is not in the bundle")
    after = tuple(replace(a, state="removed", since=now) if a is chosen else a for a in current.authorities)
    return _changed(current, after, now)


def without_expired(current: AuthoritySet, now: UnixMillis) -> AuthoritySet:
    """Forget all that have run out, except one that is still active: it ends when another takes its place."""
    after = tuple(a for a in current.authorities if a.not_after > now or a.state == "active")
    return _changed(current, after, now)


def with_beginning(current: AuthoritySet, authority_id: str) -> AuthoritySet:
    """Note, before it is done, that keys of this generation are made; the empty id ends that."""
    return replace(current, beginning=authority_id, revision=current.revision + 1)


def first_set(now: UnixMillis) -> AuthoritySet:
    """No authorities yet. The sequence is at least the clock's seconds from the start and at every change, so that a
    domain whose state was lost, or brought back from a copy, goes on above what it had published."""
    return AuthoritySet(authorities=(), sequence=max(0, now // 1000), revision=0)


def require_room(current: AuthoritySet) -> None:
    """Raises Refused (`authority.too_many`)."""
    if len(current.published) >= AUTHORITIES_MAX:
        message = f"{AUTHORITIES_MAX} authorities are in the bundle already: remove some, or wait until they run out"
        raise AUTHORITY_TOO_MANY(message)


def signing_authority(current: AuthoritySet, now: UnixMillis) -> Authority:
    """The one to sign with at this time.

    Raises Unavailable: `authority.none`, `authority.not_yet_valid` when the clock stands before its begin,
    `authority.expired`. Nothing is signed then.
    """
    active = current.active
    if active is None:
        raise AUTHORITY_NONE("the trust domain has no active authority")
    if not active.is_valid(now):
        raise _not_valid(active, now)
    return active


def _activated(authority: Authority, chosen: str, now: UnixMillis) -> Authority:
    if authority.id == chosen:
        return replace(authority, state="active", since=now)
    return replace(authority, state="old", since=now) if authority.state == "active" else authority


def _changed(current: AuthoritySet, after: tuple[Authority, ...], now: UnixMillis) -> AuthoritySet:
    """The sequence grows when the bundle differs: states other than removed look the same from outside."""
    differs = [a.id for a in after if a.is_published] != [a.id for a in current.published]
    sequence = max(current.sequence + 1, now // 1000) if differs else current.sequence
    return replace(current, authorities=after, sequence=sequence, revision=current.revision + 1)


def _not_valid(authority: Authority, now: UnixMillis) -> Unavailable:
    if now >= authority.not_after:
        return AUTHORITY_EXPIRED(f"authority {authority.id} has run out and no other one signs yet")
    behind = (authority.not_before - now + 999) // 1000
    return AUTHORITY_NOT_YET_VALID(
        f"authority {authority.id} is not valid for {behind} seconds yet: set the clock right, or rotate to a new one "
        "when it is right now and was ahead before"
    )
