"""The signed form of a warrant for the broker: a compact JWS whose header `typ` is `answerable-warrant+jwt`.

Laws: every claim is present and no other; the token is accepted only under the gateway's own key, by the broker that it
names, before its deadline, and once; its statements about arguments are compared with the arguments received.

Parsed by hand: every text is bounded and none is empty, and errors are described in the broker's own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

from answerable.core.canonical import FrozenJSON, freeze
from answerable.core.identity.keys.compact_jws import TokenCodes, verified_claims
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.lease import lease_window
from answerable.core.lease.name import checked_lease_name, octets_of
from answerable.core.statement import Kind
from answerable.errors import Malformed, shown
from answerable.errors.codes.leases import (
    WARRANT_ALGORITHM,
    WARRANT_AUDIENCE,
    WARRANT_KEY,
    WARRANT_LATE,
    WARRANT_LEASE,
    WARRANT_MALFORMED,
    WARRANT_SIGNATURE,
    WARRANT_TYPE,
)

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

_HEX_32: Final = re.compile(r"[0-9a-f]{64}")


class WarrantClaims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims that a gateway signs for the broker."""

    iss: Annotated[str, Meta(description="origin of the log that the intent is in")]
    aud: Annotated[str, Meta(description="name of the broker that may redeem it, exactly one")]
    intent: Annotated[int, Meta(description="index of the intent")]
    leaf: Annotated[str, Meta(description="leaf hash of the intent, hex")]
    action: Annotated[str, Meta(description="id of the action, which is its idempotency key")]
    digest: Annotated[
        str,
        Meta(
            description='SHA-256, hex, of the canonical JSON of `{"arguments", "method": "tools/call", "server", '
            '"target"}` as it was decided; `target` is the tool there'
        ),
    ]
    deadline_ms: Annotated[
        int, Meta(description="first instant at which it cannot be redeemed any more, Unix milliseconds")
    ]
    server: Annotated[str, Meta(description="what the gateway's registry calls the target")]
    target: Annotated[str, Meta(description="what the broker calls it")]
    mandate: Annotated[str, Meta(description="id of the mandate")]
    agent: Annotated[str, Meta(description="who acts")]
    capability: Annotated[str, Meta(description="what is used")]
    tier: Annotated[int, Meta(description="of the capability, 0 to 3")]
    lease: Annotated[str, Meta(description="name of the lease, as in the intent: 26 characters of base32")]
    window: Annotated[
        str, Meta(description="`action`, or `task` for a lease that may serve several warrants")
    ]
    scope: Annotated[str, Meta(description="canonical JSON of what the credential may do")]
    expires_ms: Annotated[int, Meta(description="first instant at which the credential is good for nothing")]
    under: Annotated[
        list[Any], Meta(description="pairs of kind and name, at most 256: what the lease stands under")
    ]


WARRANT: Final = Kind(
    typ=WARRANT_TYP,
    codes=TokenCodes(
        malformed=WARRANT_MALFORMED,
        type=WARRANT_TYPE,
        algorithm=WARRANT_ALGORITHM,
        key=WARRANT_KEY,
        signature=WARRANT_SIGNATURE,
    ),
    what="the warrant",
    form=WarrantClaims,
    missing="warrant: claims that are missing or unknown: {claim}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """The credential that an action needs. expires_at: Unix milliseconds."""

    name: LeaseName
    target: str
    window: LeaseWindow
    scope: Scope
    expires_at: UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWarrant:
    """The content of a warrant for the broker. log: origin of the log. digest: of the frozen action, hex."""

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
        """Return the signed token. Raises Malformed (`statement.size`)."""
        lease = self.lease
        claims = WarrantClaims(
            iss=self.log,
            aud=self.broker,
            intent=self.intent,
            leaf=self.leaf,
            action=self.action_id,
            digest=self.digest,
            deadline_ms=self.deadline,
            server=self.server,
            target=lease.target,
            mandate=self.mandate,
            agent=self.agent,
            capability=self.capability,
            tier=self.tier,
            lease=lease.name,
            window=lease.window,
            scope=lease.scope.bytes.decode(),
            expires_ms=lease.expires_at,
            under=[[kind, name] for kind, name in self.under],
        )
        return WARRANT.sign(claims, key)

    def is_about(self, *, tool: str, arguments: JSONValue) -> bool:
        """Whether the received call is exactly the decided action. Raises Malformed (`json.*`)."""
        came: JSONValue = {
            "arguments": arguments,
            "method": "tools/call",
            "server": self.server,
            "target": tool,
        }
        return freeze(came).hex == self.digest


def verified_warrant(token: str, *, broker: str, keys: Iterable[PublicKey], now: UnixMillis) -> SignedWarrant:
    """Parse and verify a token; the register records its redemption.

    Raises Malformed (`warrant.malformed`, `warrant.lease`), Unverified (`warrant.key`, `warrant.signature` …,
    `warrant.audience`, `warrant.late`).
    """
    claims = verified_claims(
        token,
        typ=WARRANT_TYP,
        codes=WARRANT.codes,
        issuer_of=lambda said: str(said.get("iss", "")),
        keys_of=lambda _: keys,
    )
    warrant = _read(claims)
    if warrant.broker != broker:
        raise WARRANT_AUDIENCE(
            f"the warrant is for broker {shown(warrant.broker)}, expected broker {shown(broker)}"
        )
    if now >= warrant.deadline:
        raise WARRANT_LATE("the warrant has expired: the action was not performed in time")
    return warrant


def _read(claims: Mapping[str, JSONValue]) -> SignedWarrant:
    odd = sorted(claims.keys() ^ set(WarrantClaims.__struct_fields__))
    if odd:
        raise WARRANT_MALFORMED(WARRANT.missing.format(claim=shown(", ".join(odd))))
    scope = FrozenJSON.from_canonical(_text(claims, "scope", chars_max=65_536).encode())
    leaf, digest = _text(claims, "leaf"), _text(claims, "digest")
    if not _HEX_32.fullmatch(leaf) or not _HEX_32.fullmatch(digest):
        raise _malformed("`leaf` and `digest` are SHA-256 in hexadecimal")
    action, name = _text(claims, "action"), checked_lease_name(_text(claims, "lease"))
    window = lease_window(_text(claims, "window"))
    if window == "action" and octets_of(name).hex() != action:
        # The target's log leads to the action through this name. Another name would lead nowhere, or to another action.
        message = f"the lease of a single action is named by it: action {shown(action)} has none called {shown(name)}"
        raise WARRANT_LEASE(message)
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
        raise _malformed(f"`{name}` is not a text of 1 to {chars_max} characters")
    return value


def _whole(claims: Mapping[str, JSONValue], name: str) -> int:
    value = claims[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _malformed(f"`{name}` is not a whole number")
    return value


def _under(value: JSONValue) -> tuple[Under, ...]:
    if not isinstance(value, list) or len(value) > UNDER_MAX:
        raise _malformed(f"`under` is not a list of at most {UNDER_MAX} items")
    found: list[Under] = []
    for one in value:
        match one:
            case [str(kind), str(name)] if len(kind) <= NAME_CHARS_MAX and len(name) <= NAME_CHARS_MAX:
                found.append((kind, name))
            case _:
                raise _malformed("`under` has an item that is not a pair of kind and name")
    return tuple(found)


def _malformed(what: str) -> Malformed:
    return WARRANT_MALFORMED(f"warrant: {what}")
