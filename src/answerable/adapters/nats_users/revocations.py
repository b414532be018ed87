"""Add revoked users to an account's token, and remove the broker's own entries when they are no longer needed.

Laws: revocations by others are preserved. The broker's own entries are dated so far in the future that setting a clock
back revives no user. The date also encodes when the user's token expires: after that the entry may be removed, so the
account's token does not grow without limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

FAR: Final = 2**50
"""Seconds since 1970, about 35 million years ahead. A later date marks an entry of the broker: `FAR` plus the second at
which the user's token expires."""


def revoked_in(claims: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """Return the revoked users by public key, each with the issue date up to which its tokens are revoked."""
    nats = claims.get("nats")
    revoked = nats.get("revocations") if isinstance(nats, dict) else None
    return dict(revoked) if isinstance(revoked, dict) else {}


def with_revoked(
    claims: Mapping[str, JSONValue], ends: Mapping[str, int], *, now: int
) -> dict[str, JSONValue] | None:
    """Return the claims with these users revoked; None if they all are already. ends: Unix second at which each user's
    token expires, by public key. now: Unix second."""
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
