"""A standing secret that works without a lease: where it was found, and what could replace it.

Laws: no value is stored, only a keyed fingerprint, so that two places with the same secret are detected and nobody can
test guesses against it; what is not known is reported as unknown, never as nothing.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import UnixMillis

StandingKind = Literal[
    "cloud_key",
    "cluster_credential",
    "database_password",
    "model_key",
    "password",
    "private_key",
    "registry_login",
    "source_host_token",
    "stored_secret",
    "target_account",
    "token",
]
STANDING_KINDS: Final[tuple[StandingKind, ...]] = get_args(StandingKind)
FINGERPRINT_CHARS: Final = 12
_CONTEXT: Final = b"answerable standing secret\0"

REPLACEMENTS: Final[dict[StandingKind, str]] = {
    "cloud_key": "a role that the broker assumes for each action (target of kind aws)",
    "cluster_credential": "a token of the cluster for each action (TokenRequest), minted by the broker",
    "database_password": "a database target of the broker: an account for each action, with its grants alone",
    "model_key": "a model target of the broker, which adds the key itself and keeps the budget",
    "password": "an account of its own for each action where the system can, else the broker's store of secrets",
    "private_key": "short-lived certificates (target of kind ssh), or a key that stays in its agent or HSM",
    "registry_login": "a token for one push or pull, or the broker's store of secrets",
    "source_host_token": "an app of the source host, which gives tokens for an hour and some repositories",
    "stored_secret": "an account for each action where the system can; until then its rotation",
    "target_account": "the smallest rights that the target's page names, and a password in the broker's store",
    "token": "a token for each action from its issuer, or the broker's store of secrets",
}
"""What could replace each kind, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingSecret:
    """A standing secret that was found. where: file, store or target. line: from 1; 0 where there are none. name: its
    name there.

    owner: who answers for it, or the account that owns its file; empty for unknown. since: when it was made, or its
    file last changed, Unix milliseconds: its minimum age; 0 for unknown. users: who used it, as far as known.
    last_used_at: 0 for unknown. exposed: why others may have read it, in words; empty for nothing known. kept: where
    the secret of an account is stored, such as `store:NAME`, never the secret. due: why it is due for replacement;
    empty while it is not, or without a schedule. instead: what could replace it, where more is known than its kind.
    """

    kind: StandingKind
    where: str
    line: int
    name: str
    fingerprint: str
    owner: str = ""
    since: UnixMillis | int = 0
    users: tuple[str, ...] = ()
    last_used_at: UnixMillis | int = 0
    exposed: str = ""
    kept: str = ""
    due: str = ""
    instead: str = ""

    @property
    def replacement(self) -> str:
        """What could replace the secret."""
        return self.instead or REPLACEMENTS[self.kind]


def fingerprint_of(value: str, key: bytes) -> str:
    """Return twelve hexadecimal digits that are equal for equal values under one key, and reveal nothing without it."""
    return hmac.new(key, _CONTEXT + value.encode(), sha256).hexdigest()[:FINGERPRINT_CHARS]


def shared(found: Iterable[StandingSecret]) -> dict[str, int]:
    """Return the number of places of each secret found in more than one, by fingerprint."""
    counts: dict[str, int] = {}
    for one in found:
        if one.fingerprint:
            counts[one.fingerprint] = counts.get(one.fingerprint, 0) + 1
    return {fingerprint: count for fingerprint, count in counts.items() if count > 1}
