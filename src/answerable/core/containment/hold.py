"""A hold: stops everything under a name at once, until the hold expires or another person lifts it.

| kind           | its name is                         | holds                                                        |
|----------------|-------------------------------------|--------------------------------------------------------------|
| `agent`        | the registered name                 | whatever that agent does, in any delegation chain            |
| `instance`     | the SPIFFE ID                       | that instance and its sub-agents                             |
| `mandate`      | the id of the mandate               | everything under it, in any chain                            |
| `hop`          | the hash of a hop (`par_hash`)      | that hop and its subtree                                     |
| `tool`         | `SERVER/TOOL`                       | that tool, whoever calls it                                  |
| `server`       | the registered name                 | everything on that target system                             |
| `capability`   | the registered name                 | every use of it                                              |
| `credential`   | the name of a lease, or of a target of the broker | that lease; every lease at that target         |
| `key`          | as in a revocation                  | what it proves or signed                                     |
| `manifest`     | as in a revocation                  | whatever runs as that manifest says                          |
| `owner`        | the registered name of a person     | what that person owns, gave or signed                        |
| `vendor`       | a `vendor` of servers or agents     | agents made with it, actions on its servers                  |
| `trust_domain` | the name of a SPIFFE trust domain   | every instance that is known by an id of it                  |
| `environment`  | as capabilities and agents say      | capabilities and agents of it                                |
| `tenant`       | as agents and servers say           | agents and servers of it                                     |
| `everything`   | empty                               | every action                                                 |

Laws: a hold is in force until it is lifted or expires by the wall clock, and setting the clock back prolongs it; nobody
lifts a hold that they placed; where the placer is known only as a user of the machine, two persons must lift it; a name
that is not known yet can be held.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, NewType, get_args

from answerable.core.base64url import to_base64url
from answerable.core.canonical import INTEGER_MAX, freeze
from answerable.core.decision.facts import HoldFact
from answerable.core.identity.names.principal import checked_name
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.mandate.revocation import RevocationKind, revocable
from answerable.core.registry.documents.public_name import checked_plain_target
from answerable.errors import Refused, shown
from answerable.errors.codes.containment import (
    HELD_AGENT,
    HELD_CAPABILITY,
    HELD_CREDENTIAL,
    HELD_ENVIRONMENT,
    HELD_EVERYTHING,
    HELD_HOP,
    HELD_INSTANCE,
    HELD_KEY,
    HELD_MANDATE,
    HELD_MANIFEST,
    HELD_OWNER,
    HELD_SERVER,
    HELD_TENANT,
    HELD_TOOL,
    HELD_TRUST_DOMAIN,
    HELD_VENDOR,
    HOLD_EXPIRY,
    HOLD_ID,
    HOLD_KIND,
    HOLD_NAME,
    HOLD_REASON,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import PrincipalId, UnixMillis

HoldId = NewType("HoldId", str)
HoldKind = Literal[
    "agent",
    "instance",
    "mandate",
    "hop",
    "tool",
    "server",
    "capability",
    "credential",
    "key",
    "manifest",
    "owner",
    "vendor",
    "trust_domain",
    "environment",
    "tenant",
    "everything",
]
HOLD_KINDS: Final[tuple[HoldKind, ...]] = get_args(HoldKind)
HoldSource = Literal["person", "rule", "panic", "drill", "agent"]
HOLD_SOURCES: Final[tuple[HoldSource, ...]] = get_args(HoldSource)

ID_PREFIX: Final = "hold_"
ID_BYTES: Final = 16
REASON_CHARS_MAX: Final = 500
PERSONS_FOR_MACHINE: Final = 2
"""Number of persons who must agree to a lift where the placer is known only as a user of the machine."""

_PRINTABLE: Final = re.compile(r"[!-~]{1,256}")
_ID: Final = re.compile(r"hold_[A-Za-z0-9_-]{22}")
_NAMED: Final = frozenset({"server", "capability", "environment", "tenant"})
_AS_REVOKED: Final[dict[HoldKind, RevocationKind]] = {
    "agent": "agent",
    "hop": "hop",
    "instance": "agent",
    "key": "key",
    "mandate": "mandate",
    "manifest": "manifest",
    "owner": "owner",
    "trust_domain": "trust_domain",
    "vendor": "vendor",
}
"""The kinds whose names have the same form as in a revocation."""


class HoldTarget(NamedTuple):
    """One name under which actions can be held. `holdable` builds it from untrusted input."""

    kind: HoldKind
    name: str


EVERYTHING: Final = HoldTarget("everything", "")


def legible_reason(text: str) -> str:
    """Return as much of the text as a reason may contain: an urgent stop is not refused for the form of its reason."""
    return "".join(c if c.isprintable() else " " for c in text)[:REASON_CHARS_MAX]


def placed_by(rule: str) -> str:
    """Return the placer's name of a hold that this rule placed."""
    return f"rule:{rule}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A person's signed agreement to lift a hold. key: thumbprint of the signing key. at: when it was received."""

    by: PrincipalId
    key: str
    reason: str
    at: UnixMillis
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold on one name. at, expires_at, lifted_at: Unix milliseconds; 0 for no end, and for not lifted.

    by: who placed it, as authenticated: a person, `uid:N`, `rule:NAME`, the SPIFFE ID of an instance. reason: in the
    placer's words; may be empty. rule: the name of the rule that placed it, if one did, or the id of the press. agreed:
    the agreements to lift it so far. Raises Malformed (`hold.id`, `hold.reason`, `hold.expiry`).
    """

    id: HoldId
    what: HoldTarget
    at: UnixMillis
    by: str
    reason: str = ""
    expires_at: int = 0
    source: HoldSource = "person"
    rule: str = ""
    agreed: tuple[Agreement, ...] = ()
    lifted_at: int = 0

    def __post_init__(self) -> None:
        if not is_hold_id(self.id):
            raise HOLD_ID(f"{shown(self.id)} is not the id of a hold")
        if len(self.reason) > REASON_CHARS_MAX or (self.reason and not self.reason.isprintable()):
            raise HOLD_REASON(f"a reason has at most {REASON_CHARS_MAX} printable characters on one line")
        if self.expires_at and not self.at < self.expires_at <= INTEGER_MAX:
            raise HOLD_EXPIRY()

    @property
    def lifted_by(self) -> tuple[PrincipalId, ...]:
        """Who lifted it; empty while it is not lifted."""
        return tuple(one.by for one in self.agreed) if self.lifted_at else ()

    @property
    def digest(self) -> str:
        """SHA-256, hex, of the hold as placed: what a person signs to lift it."""
        return freeze(
            {
                "at": self.at,
                "by": self.by,
                "expires_at": self.expires_at,
                "id": self.id,
                "kind": self.what.kind,
                "name": self.what.name,
                "reason": self.reason,
                "rule": self.rule,
                "source": self.source,
            }
        ).hex

    @property
    def persons_to_lift(self) -> int:
        """Number of persons who must agree: a placer who is no person of the registry could be either of two."""
        # An agent that stopped itself signs no lift, and neither does a rule.
        known = self.source in ("rule", "agent") or ":" not in self.by
        return 1 if known else PERSONS_FOR_MACHINE

    def is_in_force(self, now: UnixMillis) -> bool:
        """Whether it is in force at this time by the wall clock; also for a time before it was placed."""
        return not self.lifted_at and (not self.expires_at or now < self.expires_at)

    def outlasts(self, other: Hold) -> bool:
        """Whether it ends when the other ends or later, if neither is lifted."""
        return not self.expires_at or bool(other.expires_at and other.expires_at <= self.expires_at)

    def is_same_as(self, other: Hold) -> bool:
        """Whether both are by the same placer on the same name, for the same cause: then one of them suffices."""
        return (self.what, self.by, self.source, self.rule) == (
            other.what,
            other.by,
            other.source,
            other.rule,
        )

    def stands_for(self, other: Hold) -> bool:
        """Whether the other need not be placed beside this one. It must be once somebody agreed to lift this one,
        because they did not know the reason of the other."""
        return (
            self.is_same_as(other) and not self.agreed and self.is_in_force(other.at) and self.outlasts(other)
        )

    def fact(self) -> HoldFact:
        """Return the hold as a fact for the decision."""
        return HoldFact(id=self.id, kind=self.what.kind, text=self.said())

    def said(self) -> str:
        """Return the text for the held caller, which reveals neither who placed the hold nor why."""
        return f"{described(self.what)} is held: nothing is done until the hold is lifted"

    def refusal(self) -> Refused:
        """Return the error `held.<kind>`, for refusals without a decision."""
        said = self.said()
        match self.what.kind:
            case "agent":
                return HELD_AGENT(said)
            case "instance":
                return HELD_INSTANCE(said)
            case "mandate":
                return HELD_MANDATE(said)
            case "hop":
                return HELD_HOP(said)
            case "tool":
                return HELD_TOOL(said)
            case "server":
                return HELD_SERVER(said)
            case "capability":
                return HELD_CAPABILITY(said)
            case "credential":
                return HELD_CREDENTIAL(said)
            case "key":
                return HELD_KEY(said)
            case "manifest":
                return HELD_MANIFEST(said)
            case "owner":
                return HELD_OWNER(said)
            case "vendor":
                return HELD_VENDOR(said)
            case "trust_domain":
                return HELD_TRUST_DOMAIN(said)
            case "environment":
                return HELD_ENVIRONMENT(said)
            case "tenant":
                return HELD_TENANT(said)
            case "everything":
                return HELD_EVERYTHING(said)


def is_hold_id(name: str) -> bool:
    """Whether the text is a valid hold id."""
    return _ID.fullmatch(name) is not None


def hold_id(octets: bytes) -> HoldId:
    """Return a new id. octets: ID_BYTES random bytes."""
    return HoldId(ID_PREFIX + to_base64url(octets))


def holdable(kind: str, name: str) -> HoldTarget:
    """Validate a target and return it in canonical spelling. Raises Malformed: `hold.kind`, `hold.name`,
    `revocation.name`, `name.invalid`, `spiffe_id.*`."""
    known = next((one for one in HOLD_KINDS if one == kind), None)
    if known is None:
        raise HOLD_KIND(f"{shown(kind)} cannot be held: expected one of {', '.join(HOLD_KINDS)}")
    return HoldTarget(known, _checked(known, name))


def described(what: HoldTarget) -> str:
    """Describe a target in words, such as: agent `scout`."""
    if what.kind == "everything":
        return "everything"
    return f"{what.kind.replace('_', ' ')} {shown(what.name)}"


def first_in_force(holds: Iterable[Hold], now: UnixMillis) -> Hold | None:
    """Return the first hold in force at this time."""
    return next((one for one in holds if one.is_in_force(now)), None)


def among(standing: tuple[Hold, ...], hold: Hold) -> tuple[Hold, ...]:
    """Return the holds on one name, the latest end first, after one of them was placed, agreed to or lifted.

    A hold that had expired when a longer one was placed is dropped, so that a name that is held repeatedly has few.
    """
    rest = [
        one for one in standing if one.id != hold.id and (one.is_in_force(hold.at) or not hold.outlasts(one))
    ]
    if not hold.lifted_at:
        rest.append(hold)
    return tuple(sorted(rest, key=lambda one: (bool(one.expires_at), -one.expires_at)))


def _checked(kind: HoldKind, name: str) -> str:
    if kind == "everything":
        if name:
            raise HOLD_NAME("a hold on everything has no name")
        return ""
    if kind in ("agent", "instance") and (kind == "instance") != name.lower().startswith(SCHEME):
        raise HOLD_NAME("an agent is held by its registered name, an instance by its SPIFFE ID")
    if kind in _AS_REVOKED:
        return revocable(_AS_REVOKED[kind], name).name
    if kind == "tool":
        server, slash, tool = name.partition("/")
        if not slash:
            raise HOLD_NAME(f"{shown(name)} does not say which tool: expected `SERVER/TOOL`")
        return f"{checked_name(server, what='server')}/{checked_plain_target(tool, what='tool')}"
    if kind in _NAMED:
        return checked_name(name, what=kind)
    if not _PRINTABLE.fullmatch(name):
        raise HOLD_NAME(f"{shown(name)} is not the name of a credential: 1 to 256 characters without blanks")
    return name
