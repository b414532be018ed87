"""Invitations: a code that an administrator hands to one registered person, good once and for minutes, to bring a
passkey in.

Laws: we keep the SHA-256 of a code, never the code; it has 128 random bits, so the digest gives nothing away; it is for
one person, and a passkey that comes in by it is theirs.
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
"""How long an invitation can be looked up after its end."""
INVITATIONS_MAX: Final = 10_000
"""Kept at a time, used and expired ones included until they are forgotten."""

_PREFIX: Final = "ainv_"
_FORM: Final = re.compile(r"ainv_[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """digest: SHA-256 of the code's text. by: who made it, as the door knows them. used_at: None while it is unused."""

    digest: bytes
    person: PrincipalId
    by: str
    created_at: UnixMillis
    expires_at: UnixMillis
    used_at: UnixMillis | None = None

    def is_good(self, now: UnixMillis) -> bool:
        """Whether it may be used at `now`; not before it was made, for then the clock was set back."""
        return self.used_at is None and self.created_at <= now < self.expires_at


def invitation_code(secret: bytes) -> str:
    """The code, from fresh random bytes. Raises Malformed (`invitation.secret`)."""
    if len(secret) != CODE_BYTES:
        raise INVITATION_SECRET(f"a code takes {CODE_BYTES} random bytes, got {len(secret)}")
    return _PREFIX + to_base64url(secret)


def invitation_digest(code: str) -> bytes:
    """What an invitation is found by. Raises Unverified (`invitation.refused`); the message never shows the code."""
    if not _FORM.fullmatch(code):
        raise not_good()
    return sha256(code.encode("ascii")).digest()


def invitation(code: str, *, person: PrincipalId, by: str, now: UnixMillis, seconds: int) -> Invitation:
    """What is kept of a new one. Raises Malformed (`invitation.lifetime`)."""
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
    """One answer for a code that is unknown, used or late: a stranger learns nothing from it."""
    return INVITATION_REFUSED()
