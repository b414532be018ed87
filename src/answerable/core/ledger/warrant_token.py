"""A warrant on its way to the broker: a JWS in compact form whose header `typ` is `answerable-warrant+jwt`.

| claim           | type    | meaning                                                                          |
|-----------------|---------|----------------------------------------------------------------------------------|
| `iss`           | text    | origin of the log that the intent is in                                          |
| `aud`           | text    | the broker that may redeem it, exactly one                                       |
| `intent`        | integer | index of the intent                                                              |
| `leaf`          | text    | leaf hash of the intent, hex                                                     |
| `action`        | text    | id of the action, which is its idempotency key                                   |
| `digest`        | text    | SHA-256 of the frozen action, hex; arguments travel beside the token             |
| `deadline_ms`   | integer | Unix milliseconds, first instant at which it cannot be redeemed any more         |
| `server`        | text    | what the gateway's registry calls the target; part of the action                 |
| `target`        | text    | the broker's target                                                              |
| `mandate`       | text    | id of the mandate                                                                |
| `agent`         | text    | who acts                                                                         |
| `capability`    | text    | what is used                                                                     |
| `tier`          | integer | the capability's, 0 to 3                                                         |
| `lease`         | text    | name of the lease, as in the intent                                              |
| `window`        | text    | `action`, or `task` for a lease that may serve several warrants                  |
| `scope`         | text    | canonical JSON of what the credential may do                                     |
| `expires_ms`    | integer | Unix milliseconds, first instant at which the credential is good for nothing     |
| `under`         | list    | `[[kind, name], ...]`: what the lease stands under, as holds and revocations name |

Laws: every claim is there and no other; it is believed under the gateway's own key alone, at the broker that it names,
before its deadline, and once; whatever it says of arguments is compared with those that came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import FrozenJSON, freeze
from answerable.core.identity.keys.compact_jws import signed_statement, verified_claims
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.lease import lease_window
from answerable.core.lease.name import checked_lease_name, octets_of
from answerable.errors import Malformed, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey, SigningKey
    from answerable.core.lease.lease import Under
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.core.registry.documents.lease_template import LeaseWindow

WARRANT_TYP: Final = "answerable-warrant+jwt"
STEP: Final = "warrant"
UNDER_MAX: Final = 256
NAME_CHARS_MAX: Final = 2_048

_CLAIMS: Final = frozenset(
    (
        "iss", "aud", "intent", "leaf", "action", "digest", "deadline_ms", "server", "target", "mandate", "agent",
        "capability", "tier", "lease", "window", "scope", "expires_ms", "under",
    )
)  # fmt: skip
_HEX_32: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """What the credential for an action is to be. expires_at: Unix milliseconds."""

    name: LeaseName
    target: str
    window: LeaseWindow
    scope: Scope
    expires_at: UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWarrant:
    """What a warrant says to the broker. log: origin of the log. digest: of the frozen action, hex."""

    log: str
    broker: str
    intent: int
    leaf: str
    action_id: str
    digest: str
    deadline: UnixMillis
    server: str
    mandate: str
    agent: str
    capability: str
    tier: int
    lease: LeaseTerms
    under: tuple[Under, ...]

    def signed(self, key: SigningKey) -> str:
        """The token. Raises Malformed (`statement.size`)."""
        lease = self.lease
        claims: dict[str, JSONValue] = {
            "iss": self.log,
            "aud": self.broker,
            "intent": self.intent,
            "leaf": self.leaf,
            "action": self.action_id,
            "digest": self.digest,
            "deadline_ms": self.deadline,
            "server": self.server,
            "target": lease.target,
            "mandate": self.mandate,
            "agent": self.agent,
            "capability": self.capability,
            "tier": self.tier,
            "lease": lease.name,
            "window": lease.window,
            "scope": lease.scope.bytes.decode(),
            "expires_ms": lease.expires_at,
            "under": [[kind, name] for kind, name in self.under],
        }
        return signed_statement(claims, typ=WARRANT_TYP, key=key)

    def is_about(self, *, tool: str, arguments: JSONValue) -> bool:
        """Whether the very action that was decided is the one that came. Raises Malformed (`json.*`)."""
        came: JSONValue = {
            "arguments": arguments,
            "method": "tools/call",
            "server": self.server,
            "target": tool,
        }
        return freeze(came).hex == self.digest


def verified_warrant(token: str, *, broker: str, keys: Iterable[PublicKey], now: UnixMillis) -> SignedWarrant:
    """Read and check a token; redeeming it is the register's.

    Raises Malformed (`warrant.malformed`, `warrant.lease`), Unverified (`warrant.key`, `warrant.signature` …,
    `warrant.audience`, `warrant.late`).
    """
    claims = verified_claims(
        token,
        typ=WARRANT_TYP,
        step=STEP,
        issuer_of=lambda said: str(said.get("iss", "")),
        keys_of=lambda _: keys,
    )
    warrant = _read(claims)
    if warrant.broker != broker:
        raise Unverified(
            f"the warrant is for broker {shown(warrant.broker)}, this is {shown(broker)}",
            code="warrant.audience",
            step=STEP,
        )
    if now >= warrant.deadline:
        raise Unverified("the time to perform this action has run out", code="warrant.late", step=STEP)
    return warrant


def _read(claims: Mapping[str, JSONValue]) -> SignedWarrant:
    if claims.keys() != _CLAIMS:
        odd = sorted(claims.keys() ^ _CLAIMS)
        raise _malformed(f"claims that are missing or unknown: {shown(', '.join(odd))}")
    scope = FrozenJSON.from_canonical(_text(claims, "scope", chars_max=65_536).encode())
    leaf, digest = _text(claims, "leaf"), _text(claims, "digest")
    if not _HEX_32.fullmatch(leaf) or not _HEX_32.fullmatch(digest):
        raise _malformed("`leaf` and `digest` are SHA-256 in hexadecimal")
    action, name = _text(claims, "action"), checked_lease_name(_text(claims, "lease"))
    window = lease_window(_text(claims, "window"))
    if window == "action" and octets_of(name).hex() != action:
        # A target's log leads to the action by this name; with another one it would lead nowhere, or astray.
        message = f"the lease of a single action is named by it: action {shown(action)} has none called {shown(name)}"
        raise Malformed(message, code="warrant.lease")
    return SignedWarrant(
        log=_text(claims, "iss"),
        broker=_text(claims, "aud"),
        intent=_whole(claims, "intent"),
        leaf=leaf,
        action_id=action,
        digest=digest,
        deadline=UnixMillis(_whole(claims, "deadline_ms")),
        server=_text(claims, "server"),
        mandate=_text(claims, "mandate"),
        agent=_text(claims, "agent"),
        capability=_text(claims, "capability"),
        tier=_whole(claims, "tier"),
        lease=LeaseTerms(
            name=name,
            target=_text(claims, "target"),
            window=window,
            scope=scope,
            expires_at=UnixMillis(_whole(claims, "expires_ms")),
        ),
        under=_under(claims["under"]),
    )


def _text(claims: Mapping[str, JSONValue], name: str, *, chars_max: int = NAME_CHARS_MAX) -> str:
    value = claims[name]
    if not isinstance(value, str) or not value or len(value) > chars_max:
        raise _malformed(f"`{name}` is no text of 1 to {chars_max} characters")
    return value


def _whole(claims: Mapping[str, JSONValue], name: str) -> int:
    value = claims[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _malformed(f"`{name}` is no whole number")
    return value


def _under(value: JSONValue) -> tuple[Under, ...]:
    if not isinstance(value, list) or len(value) > UNDER_MAX:
        raise _malformed(f"`under` is no list of at most {UNDER_MAX}")
    found: list[Under] = []
    for one in value:
        match one:
            case [str(kind), str(name)] if len(kind) <= NAME_CHARS_MAX and len(name) <= NAME_CHARS_MAX:
                found.append((kind, name))
            case _:
                raise _malformed("`under` holds something that is no pair of kind and name")
    return tuple(found)


def _malformed(what: str) -> Malformed:
    return Malformed(f"warrant: {what}", code="warrant.malformed")
