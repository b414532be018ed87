"""Users that an account revokes: members of its token, ours told from those of others, and forgotten when they may be.

Laws: what others revoked stays. One of ours is dated so far ahead that no clock that is set back revives a user, and
in the date is the moment when its user has ended by itself: from then on it may go, and the token does not grow for
ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

FAR: Final = 2**50
"""Seconds since 1970, in some 35 million years. A date beyond it is ours: `FAR` and when the user ends by itself."""


def revoked_in(claims: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """Users by public key, and up to which date of issue each is revoked."""
    nats = claims.get("nats")
    revoked = nats.get("revocations") if isinstance(nats, dict) else None
    return dict(revoked) if isinstance(revoked, dict) else {}


def with_revoked(
    claims: Mapping[str, JSONValue], ends: Mapping[str, int], *, now: int
) -> dict[str, JSONValue] | None:
    """The claims with these users revoked; None where they are all revoked already. ends: by public key, the second
    since 1970 at which the user ends by itself. now: likewise."""
    found = revoked_in(claims)
    wanted = {user: FAR + max(end, now) for user, end in ends.items()}
    if not wanted.keys() - {user for user, date in found.items() if isinstance(date, int) and date >= FAR}:
        return None
    kept = {
        user: date for user, date in found.items() if not (isinstance(date, int) and FAR <= date < FAR + now)
    }
    nats = claims.get("nats")
    changed: dict[str, JSONValue] = {
        **(nats if isinstance(nats, dict) else {}),
        "revocations": {**kept, **wanted},
    }
    before = claims.get("iat")
    issued = max(now, before + 1 if isinstance(before, int) else 0)
    return {**claims, "nats": changed, "iat": issued}
