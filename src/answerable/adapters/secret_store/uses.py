"""Record who used a secret, and when last. The record contains no secret and is stored unencrypted beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.stored_secret import TEXT_CHARS_MAX, USERS_MAX, SecretUse
from answerable.errors import Malformed, shown
from answerable.errors.codes.leases import SECRETS_DAMAGED

if TYPE_CHECKING:
    from collections.abc import Sequence

USES_BYTES_MAX: Final = 131_072


def with_use(uses: Sequence[SecretUse], by: str, now: UnixMillis) -> tuple[SecretUse, ...]:
    """Add a use, most recent first. Beyond the limit, the least recent users are dropped."""
    before = next((one for one in uses if one.by == by), None)
    used = SecretUse(by=by, count=before.count + 1 if before else 1, last_at=now)
    return (used, *(one for one in uses if one.by != by))[:USERS_MAX]


def written(uses: Sequence[SecretUse]) -> bytes:
    """Return the content of the file."""
    return encode([[one.by, one.count, one.last_at] for one in uses])


def read_uses(content: bytes | None, name: str) -> tuple[SecretUse, ...]:
    """Parse the file's content; empty if there is none. Raises Unavailable (`secrets.damaged`)."""
    if content is None:
        return ()
    try:
        value = parse(content)
        if not isinstance(value, list) or len(value) > USERS_MAX:
            raise TypeError
        found = []
        for one in value:
            if not isinstance(one, list):
                raise TypeError
            by, count, last_at = one
            if not isinstance(by, str) or len(by) > TEXT_CHARS_MAX:
                raise TypeError
            if type(count) is not int or type(last_at) is not int:
                raise TypeError
            found.append(SecretUse(by=by, count=count, last_at=UnixMillis(last_at)))
    except (Malformed, TypeError, ValueError):
        raise SECRETS_DAMAGED(
            f"the record of the uses of {shown(name)} was changed or damaged: remove it to start a new one"
        ) from None
    return tuple(found)
