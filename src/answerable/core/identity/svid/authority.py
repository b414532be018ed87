"""The signing authorities of our trust domain, and their rotation: generations are prepared, then active, then old,
then removed.

Laws:
- a generation moves prepared -> active -> old -> removed, never back, and may be removed from any state;
- at most one generation is active; it is in the bundle for `TrustLimits.announce_millis` before time activates it, and
 until all that it signed has expired;
- a removed generation leaves the bundle at once and permanently;
- the sequence of the bundle grows with every change of its content, and never otherwise (SPIFFE Trust Domain and
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
"""The states, in the only order in which a generation passes through them."""

AUTHORITIES_MAX: Final = 32
"""Most generations stored at once, including removed ones until they would have expired."""
ID_BYTES: Final = 16
BACKDATE_MILLIS: Final = 60_000
"""How long before its creation a new authority's validity begins, for verifiers whose clocks are behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustLimits:
    """Lifetimes of authorities and SVIDs, and the refresh hint. Raises Malformed (`authority.limits`) if they
    contradict each other."""

    x509_seconds: int = 3_600
    jwt_seconds: int = 300
    ca_seconds: int = 86_400
    refresh_hint_seconds: int = 300

    def __post_init__(self) -> None:
        if min(self.x509_seconds, self.jwt_seconds, self.ca_seconds, self.refresh_hint_seconds) < 1:
            raise AUTHORITY_LIMITS("lifetimes and the refresh hint are at least 1 second")
        if max(self.x509_seconds, self.jwt_seconds) * 6 > self.ca_seconds:
            raise AUTHORITY_LIMITS(
                "the lifetime of an authority must be at least 6 times that of what it signs, got "
                f"{self.ca_seconds} seconds"
            )
        if self.announce_millis * 3 > self.ca_seconds * 1000:
            raise AUTHORITY_LIMITS(
                f"an authority with a lifetime of {self.ca_seconds} seconds cannot be announced for "
                f"{self.announce_millis // 1000} seconds (refresh hint and half the life of an "
                "X.509-SVID): that must be at most a third of its lifetime"
            )

    @property
    def announce_millis(self) -> int:
        """How long a new authority is in the bundle before time lets it sign: one refresh hint, and half the lifetime
        of an X.509-SVID, after which every holder of one has fetched the bundle again."""
        return self.refresh_hint_seconds * 1000 + self.x509_seconds * 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """One generation: an X.509, a JWT and a WIT authority. The private keys are stored in ports.authority_keys, under
    the names given here.

    id: 32 hex digits. certificate: DER. jwt_jwk, wit_jwk: public keys as canonical JWKs, listed in the bundle under
    their thumbprints jwt_kid and wit_kid. since: when it entered its present state.
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
        """Whether the generation is in the bundle."""
        return self.state != "removed"

    @property
    def may_sign(self) -> bool:
        """Whether the private keys are still needed."""
        return self.state in ("prepared", "active")

    def is_valid(self, now: UnixMillis) -> bool:
        """Whether the certificate is valid at this time."""
        return self.not_before <= now < self.not_after

    def share_passed(self, now: UnixMillis, numerator: int, denominator: int) -> bool:
        """Whether `numerator / denominator` of the lifetime is over."""
        return (now - self.not_before) * denominator >= (self.not_after - self.not_before) * numerator


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritySet:
    """All generations of a trust domain, oldest first, and the sequence of its bundle.

    revision: counts every change, for compare-and-swap. beginning: the generation whose keys are being made, empty for
    none; after a crash it identifies orphaned keys.
    """

    authorities: tuple[Authority, ...]
    sequence: int
    revision: int
    beginning: str = ""

    def __post_init__(self) -> None:
        """Check the set. Raises Malformed (`authority.set`)."""
        ids = [authority.id for authority in self.authorities]
        if len(set(ids)) != len(ids) or len(ids) > AUTHORITIES_MAX:
            raise AUTHORITY_SET(f"at most {AUTHORITIES_MAX} authorities, each once, got {len(ids)}")
        if sum(authority.state == "active" for authority in self.authorities) > 1:
            raise AUTHORITY_SET("two authorities are active")
        if self.sequence < 0 or self.revision < 0:
            raise AUTHORITY_SET("sequence and revision are not negative")

    @property
    def active(self) -> Authority | None:
        """The generation that signs."""
        return next((a for a in self.authorities if a.state == "active"), None)

    @property
    def prepared(self) -> Authority | None:
        """The generation that signs next: the oldest prepared one."""
        return next((a for a in self.authorities if a.state == "prepared"), None)

    @property
    def published(self) -> tuple[Authority, ...]:
        """The generations in the bundle."""
        return tuple(a for a in self.authorities if a.is_published)

    def find(self, authority_id: str) -> Authority | None:
        """Return the generation with this id, or None."""
        return next((a for a in self.authorities if a.id == authority_id), None)


Step = Literal["prepare", "activate", "replace", "drop"]


def key_names(authority_id: str) -> tuple[str, str, str]:
    """Return the names of the X.509, JWT and WIT key of a generation, which are known before the keys are made."""
    return f"{authority_id}-x509", f"{authority_id}-jwt", f"{authority_id}-wit"


def step_due(current: AuthoritySet, now: UnixMillis, limits: TrustLimits) -> Step | None:
    """Return the next step that is due; call again after each step until the result is None.

    drop: a generation that is not active has expired. prepare: half of the active generation's lifetime is over and
    none is prepared. activate: five sixths are over, and the next generation has been announced for long enough, or the
    active one has expired. replace: no generation can sign, so a new one is made and signs at once, announced or not.
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
    """Add a prepared generation. If there is no room, forget the generations that were removed first, before they
    expire.

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
    """Activate a prepared generation; the previously active one becomes old.

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
    """Remove a generation from the bundle, at once and permanently. Raises Refused (`authority.unknown`) unless it is
    published."""
    chosen = current.find(authority_id)
    if chosen is None or not chosen.is_published:
        raise AUTHORITY_UNKNOWN(f"authority {shown(authority_id, 40)} is not in the bundle")
    after = tuple(replace(a, state="removed", since=now) if a is chosen else a for a in current.authorities)
    return _changed(current, after, now)


def without_expired(current: AuthoritySet, now: UnixMillis) -> AuthoritySet:
    """Forget all expired generations, except an active one: it ends when another takes its place."""
    after = tuple(a for a in current.authorities if a.not_after > now or a.state == "active")
    return _changed(current, after, now)


def with_beginning(current: AuthoritySet, authority_id: str) -> AuthoritySet:
    """Record, before it happens, that the keys of this generation are made; the empty id ends that."""
    return replace(current, beginning=authority_id, revision=current.revision + 1)


def first_set(now: UnixMillis) -> AuthoritySet:
    """Return an empty set. The sequence is at least the clock's seconds, now and at every change, so that a domain
    whose state was lost, or restored from a backup, continues above what it had published."""
    return AuthoritySet(authorities=(), sequence=max(0, now // 1000), revision=0)


def require_room(current: AuthoritySet) -> None:
    """Check that one more generation can be published. Raises Refused (`authority.too_many`)."""
    if len(current.published) >= AUTHORITIES_MAX:
        message = f"{AUTHORITIES_MAX} authorities are in the bundle already: remove some, or wait until they run out"
        raise AUTHORITY_TOO_MANY(message)


def signing_authority(current: AuthoritySet, now: UnixMillis) -> Authority:
    """Return the generation to sign with at this time.

    Raises Unavailable: `authority.none`, `authority.not_yet_valid` if the clock is before its validity,
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
    """Increase the sequence if the published content differs: other changes of state are not visible in the bundle."""
    differs = [a.id for a in after if a.is_published] != [a.id for a in current.published]
    sequence = max(current.sequence + 1, now // 1000) if differs else current.sequence
    return replace(current, authorities=after, sequence=sequence, revision=current.revision + 1)


def _not_valid(authority: Authority, now: UnixMillis) -> Unavailable:
    if now >= authority.not_after:
        return AUTHORITY_EXPIRED(
            f"authority {authority.id} has expired and no other one signs yet: rotate the authority"
        )
    behind = (authority.not_before - now + 999) // 1000
    return AUTHORITY_NOT_YET_VALID(
        f"authority {authority.id} becomes valid in {behind} seconds: correct the clock, or, if "
        "the clock was ahead before and is correct now, rotate to a new authority"
    )
