"""Invitations: single-use codes, valid for minutes, with which an administrator lets one registered person add a
passkey.

Laws: only the SHA-256 of a code is stored, never the code; the code has 128 random bits, so the digest does not reveal
it; an invitation is for one person, and a passkey added with it belongs to that person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Unverified
from answerable.errors.codes.people import INVITATION_LIFETIME, INVITATION_REFUSED, INVITATION_SECRET

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import PrincipalId

CODE_BYTES: Final = 16
LIFETIME_SECONDS: Final = 900
LIFETIME_SECONDS_MAX: Final = 86_400
KEPT_SECONDS: Final = 86_400
"""How long an invitation can be looked up after its expiry."""
INVITATIONS_MAX: Final = 10_000
"""Most invitations stored at a time, including used and expired ones that have not been forgotten yet."""

_PREFIX: Final = "ainv_"
_FORM: Final = re.compile(r"ainv_[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A stored invitation. digest: SHA-256 of the code's text. by: the creator, as the listener authenticated them.
    used_at: None while unused."""

    digest: bytes
    person: PrincipalId
    by: str
    created_at: UnixMillis
    expires_at: UnixMillis
    used_at: UnixMillis | None = None

    def is_good(self, now: UnixMillis) -> bool:
        """Whether the invitation may be used at `now`. False before its creation, which means that the clock was set
        back."""
        return self.used_at is None and self.created_at <= now < self.expires_at


def invitation_code(secret: bytes) -> str:
    """Make a code from fresh random bytes. Raises Malformed (`invitation.secret`)."""
    if len(secret) != CODE_BYTES:
        raise INVITATION_SECRET(f"a code takes {CODE_BYTES} random bytes, got {len(secret)}")
    return _PREFIX + to_base64url(secret)


def invitation_digest(code: str) -> bytes:
    """Return the digest by which an invitation is looked up. Raises Unverified (`invitation.refused`); the message
    never contains the code."""
    if not _FORM.fullmatch(code):
        raise not_good()
    return sha256(code.encode("ascii")).digest()


def invitation(code: str, *, person: PrincipalId, by: str, now: UnixMillis, seconds: int) -> Invitation:
    """Return the record to store for a new code. Raises Malformed (`invitation.lifetime`)."""
    if not 1 <= seconds <= LIFETIME_SECONDS_MAX:
        raise INVITATION_LIFETIME(f"an invitation lives 1 to {LIFETIME_SECONDS_MAX} seconds, not {seconds}")
    return Invitation(
        digest=invitation_digest(code),
        person=person,
        by=by,
        created_at=now,
        expires_at=UnixMillis(now + seconds * 1000),
    )


def not_good() -> Unverified:
    """Return the same error for an unknown, used or expired code, so that an unauthenticated caller learns nothing."""
    return INVITATION_REFUSED()
