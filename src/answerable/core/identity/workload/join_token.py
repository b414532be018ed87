"""Join tokens: single-use secrets, valid for minutes, that an operator hands to one new workload.

Laws: only the SHA-256 of a token is stored, never the token; the token has 256 random bits, so the digest does not
reveal it; it names the agent that it was made for, and selectors of a token are of type `join_token` only, since its
maker measures nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import AgentId, UnixMillis, checked_name
from answerable.core.identity.workload.attestation import checked_selector
from answerable.core.identity.workload.evidence import SELECTORS_MAX
from answerable.errors.codes.workloads import (
    JOIN_TOKEN_LIFETIME,
    JOIN_TOKEN_REFUSED,
    JOIN_TOKEN_SECRET,
    JOIN_TOKEN_SELECTOR,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRET_BYTES: Final = 32
LIFETIME_SECONDS: Final = 600
LIFETIME_SECONDS_MAX: Final = 86_400
KEPT_SECONDS: Final = 86_400
"""How long a token can be looked up after its expiry."""
TOKENS_MAX: Final = 10_000
"""Most tokens stored at a time, including used and expired ones that have not been forgotten yet."""

_PREFIX: Final = "ajt_"
_FORM: Final = re.compile(r"ajt_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """A stored join token. digest: SHA-256 of the token's text. selectors: what it grants. used_at: None while
    unused."""

    digest: bytes
    name: str
    agent: AgentId
    selectors: tuple[str, ...]
    created_at: UnixMillis
    expires_at: UnixMillis
    used_at: UnixMillis | None = None

    def is_good(self, now: UnixMillis) -> bool:
        """Whether the token may be used at `now`. False before its creation, which means that the clock was set
        back."""
        return self.used_at is None and self.created_at <= now < self.expires_at


def join_token_text(secret: bytes) -> str:
    """Make a token from fresh random bytes. Raises Malformed (`join_token.secret`)."""
    if len(secret) != SECRET_BYTES:
        raise JOIN_TOKEN_SECRET(f"a join token takes {SECRET_BYTES} random bytes, got {len(secret)}")
    return _PREFIX + to_base64url(secret)


def join_token_digest(text: str) -> bytes:
    """Return the digest by which a token is looked up. Raises Unverified (`join_token.refused`); the message never
    contains the token."""
    if not _FORM.fullmatch(text):
        raise JOIN_TOKEN_REFUSED("this is not a join token")
    return sha256(text.encode("ascii")).digest()


def join_token(
    text: str, *, name: str, agent: AgentId, extra: Iterable[str] = (), now: UnixMillis, seconds: int
) -> JoinToken:
    """Return the record to store for a new token. extra: further names, as selectors `join_token:name:NAME`.

    Raises Malformed (`name.invalid`, `attestation.selector`, `join_token.selector`, `join_token.lifetime`).
    """
    checked_name(name, what="join token")
    if not 1 <= seconds <= LIFETIME_SECONDS_MAX:
        raise JOIN_TOKEN_LIFETIME(f"a join token lives 1 to {LIFETIME_SECONDS_MAX} seconds, not {seconds}")
    granted = {f"join_token:name:{name}", f"join_token:agent:{agent}"}
    for selector in extra:
        if not checked_selector(selector).startswith("join_token:name:"):
            raise JOIN_TOKEN_SELECTOR(
                "a join token grants selectors of type `join_token:name` only: nothing else was measured"
            )
        granted.add(selector)
    if len(granted) > SELECTORS_MAX:
        raise JOIN_TOKEN_SELECTOR(f"a join token grants at most {SELECTORS_MAX} selectors")
    return JoinToken(
        digest=join_token_digest(text),
        name=name,
        agent=agent,
        selectors=tuple(sorted(granted)),
        created_at=now,
        expires_at=UnixMillis(now + seconds * 1000),
    )
