"""What can be ended for good, and under which names somebody's right to act can be ended.

| kind           | its name is                                          | ends                                         |
|----------------|------------------------------------------------------|----------------------------------------------|
| `token`        | the `jti` of an issued token                         | that token and every token derived from it   |
| `hop`          | the hash by which its children name it (`par_hash`)  | that hop and its subtree, however signed     |
| `mandate`      | the id of the mandate                                | everything under it, in whatever chain       |
| `agent`        | the registered name, or the SPIFFE ID of an instance | the agent; the instance and its sub-agents   |
| `key`          | thumbprint of a key, or SHA-256 of a certificate     | what it proves or signed                     |
| `manifest`     | the digest of an agent manifest, hex                 | whatever runs as that manifest says          |
| `owner`        | the registered name of a person                      | what that person owns, gave or signed        |
| `vendor`       | a `vendor` of servers or agents in the registry      | agents made with it, actions on its servers  |
| `trust_domain` | the name of a SPIFFE trust domain                    | every instance that is known by an id of it  |

Laws: what is revoked stays so; whoever acts under any revoked name does not act; a name that is not known yet can be
revoked, so that nobody is quicker by not having been seen.
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
"""As long as a SPIFFE ID may be."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_HASH: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""Base64url of SHA-256."""
_PRINTABLE: Final = re.compile(r"[!-~]{1,256}")


class RevocationTarget(NamedTuple):
    """One name under which a right to act can be ended. Made by `revocable` where it comes from outside."""

    kind: RevocationKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Something was ended. at: Unix milliseconds. by: who ended it, as the control door knows them.

    reason: why, in that person's words; may be empty. Raises Malformed (`revocation.reason`).
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
        """What whoever acts under it is told: `revoked.<kind>`. Who ended it, and why, is not theirs to know."""
        said = f"{described(self.what)} has been revoked"
        # Each code is written out, so that the reference of errors lists them.
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
    """A name in its one spelling. Raises Malformed: `revocation.kind`, `revocation.name`, `name.invalid`,
    `spiffe_id.*`."""
    known = next((one for one in REVOCATION_KINDS if one == kind), None)
    if known is None:
        raise REVOCATION_KIND(
            f"{shown(kind)} cannot be revoked: expected one of {', '.join(REVOCATION_KINDS)}"
        )
    return RevocationTarget(known, _checked(known, name))


def described(what: RevocationTarget) -> str:
    """In words, such as: agent `scout`."""
    return f"{what.kind.replace('_', ' ')} {shown(what.name)}"


def hop_names(*, jti: str, par_hash: str) -> tuple[RevocationTarget, RevocationTarget]:
    """The names of one hop of a chain: as a token, and as the hop that its children name."""
    return RevocationTarget("token", jti), RevocationTarget("hop", par_hash)


def instance_names(instance: str) -> tuple[RevocationTarget, ...]:
    """The names of a running instance: its trust domain, itself, and each instance that it is a sub-agent of.

    instance: a SPIFFE ID in its one spelling; empty for a caller that is known by a key or a channel alone.
    """
    if not instance.startswith(SCHEME):
        return ()
    domain, _, path = instance[len(SCHEME) :].partition("/")
    parts = path.split("/") if path else []
    ids = (f"{SCHEME}{domain}/{'/'.join(parts[: end + 1])}" for end in range(len(parts)))
    return RevocationTarget("trust_domain", domain), *(RevocationTarget("agent", one) for one in ids)


def vendor_names(vendors: Iterable[str]) -> tuple[RevocationTarget, ...]:
    """Those who supply what somebody or something is made of."""
    return tuple(RevocationTarget("vendor", one) for one in vendors if one)


def owner_names(people: Iterable[str]) -> tuple[RevocationTarget, ...]:
    """Those who answer for it."""
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
                # As `x5t#S256` has it (RFC 8705), and as callers are known by it.
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
