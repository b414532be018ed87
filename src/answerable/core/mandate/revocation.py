"""Revocation targets: what can be revoked permanently, and under which names.

| kind           | its name is                                          | revoking it ends                             |
|----------------|------------------------------------------------------|----------------------------------------------|
| `token`        | the `jti` of an issued token                         | that token and every token derived from it   |
| `hop`          | the hash by which its children name it (`par_hash`)  | that hop and its subtree, however signed     |
| `mandate`      | the id of the mandate                                | everything under it, in any chain            |
| `agent`        | the registered name, or the SPIFFE ID of an instance | the agent; the instance and its sub-agents   |
| `key`          | thumbprint of a key, or SHA-256 of a certificate     | what it proves or signed                     |
| `manifest`     | the digest of an agent manifest, hex                 | every instance that runs by that manifest    |
| `owner`        | the registered name of a person                      | what that person owns, gave or signed        |
| `vendor`       | a `vendor` of servers or agents in the registry      | agents made with it, actions on its servers  |
| `trust_domain` | the name of a SPIFFE trust domain                    | every instance with an id in that domain     |

Laws: a revocation is permanent; nothing that depends on a revoked name may act; an unknown name can be revoked, so that
nobody escapes by not having been seen yet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import agent_id, checked_name, principal_id
from answerable.core.identity.names.spiffe_id import SCHEME, SpiffeId, spiffe_id, trust_domain
from answerable.errors import Refused, shown
from answerable.errors.codes.mandate import (
    REVOCATION_KIND,
    REVOCATION_NAME,
    REVOCATION_REASON,
    REVOKED_AGENT,
    REVOKED_HOP,
    REVOKED_KEY,
    REVOKED_MANDATE,
    REVOKED_MANIFEST,
    REVOKED_OWNER,
    REVOKED_TOKEN,
    REVOKED_TRUST_DOMAIN,
    REVOKED_VENDOR,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import UnixMillis

RevocationKind = Literal[
    "token", "hop", "mandate", "agent", "key", "manifest", "owner", "vendor", "trust_domain"
]
REVOCATION_KINDS: Final[tuple[RevocationKind, ...]] = get_args(RevocationKind)

REASON_CHARS_MAX: Final = 500
NAME_CHARS_MAX: Final = 2048
"""The maximum length of a SPIFFE ID."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_HASH: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""Base64url of a SHA-256 digest."""
_PRINTABLE: Final = re.compile(r"[!-~]{1,256}")


class RevocationTarget(NamedTuple):
    """One name that can be revoked. Use `revocable` to make one from untrusted input."""

    kind: RevocationKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A revocation. at: Unix milliseconds. by: the revoking person, as the control listener authenticated them.

    reason: that person's explanation; may be empty. Raises Malformed (`revocation.reason`).
    """

    what: RevocationTarget
    at: UnixMillis
    by: str
    reason: str = ""

    def __post_init__(self) -> None:
        if len(self.reason) > REASON_CHARS_MAX or (self.reason and not self.reason.isprintable()):
            raise REVOCATION_REASON(
                f"a reason has at most {REASON_CHARS_MAX} printable characters on one line"
            )

    def refusal(self) -> Refused:
        """Return the refusal that the caller receives, `revoked.<kind>`. It does not reveal who revoked, or why."""
        said = f"{described(self.what)} has been revoked"
        # Name each code separately, so that the generated error reference lists all of them.
        match self.what.kind:
            case "token":
                return REVOKED_TOKEN(said)
            case "hop":
                return REVOKED_HOP(said)
            case "mandate":
                return REVOKED_MANDATE(said)
            case "agent":
                return REVOKED_AGENT(said)
            case "key":
                return REVOKED_KEY(said)
            case "manifest":
                return REVOKED_MANIFEST(said)
            case "owner":
                return REVOKED_OWNER(said)
            case "vendor":
                return REVOKED_VENDOR(said)
            case "trust_domain":
                return REVOKED_TRUST_DOMAIN(said)


def revocable(kind: str, name: str) -> RevocationTarget:
    """Convert a kind and a name to a target in canonical spelling.

    Raises Malformed: `revocation.kind`, `revocation.name`, `name.invalid`, `spiffe_id.*`.
    """
    known = next((one for one in REVOCATION_KINDS if one == kind), None)
    if known is None:
        raise REVOCATION_KIND(
            f"{shown(kind)} cannot be revoked: expected one of {', '.join(REVOCATION_KINDS)}"
        )
    return RevocationTarget(known, _checked(known, name))


def described(what: RevocationTarget) -> str:
    """Describe a target, such as: agent `scout`."""
    return f"{what.kind.replace('_', ' ')} {shown(what.name)}"


def hop_names(*, jti: str, par_hash: str) -> tuple[RevocationTarget, RevocationTarget]:
    """Return the two names of one hop: its token id, and the hash by which its children name it."""
    return RevocationTarget("token", jti), RevocationTarget("hop", par_hash)


def instance_names(instance: str) -> tuple[RevocationTarget, ...]:
    """Return the names of a running instance: its trust domain, itself, and each instance that it is a sub-agent of.

    instance: a SPIFFE ID in canonical spelling; empty for a caller that is identified by a key or a channel alone.
    """
    if not instance.startswith(SCHEME):
        return ()
    domain, _, path = instance[len(SCHEME) :].partition("/")
    parts = path.split("/") if path else []
    ids = (f"{SCHEME}{domain}/{'/'.join(parts[: end + 1])}" for end in range(len(parts)))
    return RevocationTarget("trust_domain", domain), *(RevocationTarget("agent", one) for one in ids)


def vendor_names(vendors: Iterable[str]) -> tuple[RevocationTarget, ...]:
    """Return targets for these vendors. Empty names are skipped."""
    return tuple(RevocationTarget("vendor", one) for one in vendors if one)


def owner_names(people: Iterable[str]) -> tuple[RevocationTarget, ...]:
    """Return targets for these owners. Empty names are skipped."""
    return tuple(RevocationTarget("owner", one) for one in people if one)


def _checked(kind: RevocationKind, name: str) -> str:
    match kind:
        case "agent":
            return str(_instance(name)) if name.lower().startswith(SCHEME) else agent_id(name)
        case "owner":
            return principal_id(name)
        case "vendor":
            return checked_name(name, what="vendor")
        case "trust_domain":
            return trust_domain(name.removeprefix(SCHEME).lower())
        case "manifest":
            return _matching(_DIGEST, name.removeprefix("sha256:"), "the digest of a manifest: 64 hex digits")
        case "hop":
            return _matching(_HASH, name, "the hash of a hop: 43 characters of base64url")
        case "key":
            if _DIGEST.fullmatch(name):
                # The spelling of `x5t#S256` (RFC 8705), by which callers are identified.
                return to_base64url(bytes.fromhex(name))
            what = "the thumbprint of a key or certificate: 43 characters of base64url, or 64 hex digits"
            return _matching(_HASH, name, what)
        case "token" | "mandate":
            return _matching(_PRINTABLE, name, f"the id of a {kind}: 1 to 256 characters without blanks")


def _instance(name: str) -> SpiffeId:
    found = spiffe_id(name)
    if not found.path:
        raise REVOCATION_NAME(
            f"{shown(name)} is a trust domain, not an instance: revoke it as `trust_domain`"
        )
    return found


def _matching(pattern: re.Pattern[str], name: str, what: str) -> str:
    if not pattern.fullmatch(name):
        raise REVOCATION_NAME(f"{shown(name)} is not {what}")
    return name
