"""Sample token service, agents with keys, and delegation chains for tests of delegation."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from answerable.core.base64url import to_base64url
from answerable.core.canonical import JSONValue, encode
from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.caveat import Attempt
from answerable.core.mandate.constraint import Max, MaxSubtree, OneOf, Prefix, Rank
from answerable.core.mandate.delegation_chain import Chain, holder_not_asked, status_not_asked, verified_chain
from answerable.core.mandate.hop_signing import HopTerms, issue_hop, issue_root, sign_hop
from answerable.core.mandate.hop_token import Mission, confirmation_of, read_raw
from answerable.testing.clock import START
from answerable.testing.samples import AUDIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.identity.keys.keys import PublicKey

ISSUER: Final = "https://tokens.answerable.test"
ALICE: Final = "alice"
NOW = UnixMillis(START - START % 1000)
MISSION = Mission(id="m-1", authority_hash="sha-256:" + "A" * 43)
ORDER = ("public", "internal", "confidential", "restricted")


def agent_key(name: str, algorithm: str = "ed25519") -> SigningKey:
    """Return an agent's key, always the same for the same name."""
    octets = sha256(name.encode()).digest() + sha256(name.encode() + b"+").digest()
    if algorithm == "ed25519":
        return SigningKey(new_private_jwk("ed25519", octets[:32]))
    return SigningKey(new_private_jwk("ecdsa-p256-sha256", octets[:48]))


SERVICE = agent_key("token service")
AGENTS = {name: agent_key(name) for name in ("orchestrator", "researcher", "writer", "stranger")}
AGENTS["clerk"] = agent_key("clerk", "ecdsa-p256-sha256")

WIDE = Authority(
    scopes=("crm.*", "files.read"),
    constraints=(
        OneOf(key="resource:crm.refund", members=("4711", "4712")),
        Max(key="argument:crm.refund:amount", bound=5000),
        Prefix(key="resource:files.read", prefix="reports/2026"),
        Rank(key="sensitivity", rank="confidential", order=ORDER),
        MaxSubtree(key="calls", bound=20),
    ),
)
NARROW = Authority(
    scopes=("crm.refund", "files.read"),
    constraints=(
        OneOf(key="resource:crm.refund", members=("4711",)),
        Max(key="argument:crm.refund:amount", bound=1000),
        Prefix(key="resource:files.read", prefix="reports/2026/q3"),
        Rank(key="sensitivity", rank="internal", order=ORDER),
        MaxSubtree(key="calls", bound=5),
    ),
)
LEAST = Authority(
    scopes=("crm.refund",),
    constraints=(
        OneOf(key="resource:crm.refund", members=("4711",)),
        Max(key="argument:crm.refund:amount", bound=100),
        Prefix(key="resource:files.read", prefix="reports/2026/q3/a"),
        Rank(key="sensitivity", rank="public", order=ORDER),
        MaxSubtree(key="calls", bound=1),
    ),
)
RESERVED = ("calls",)


def trusted(issuer: str) -> tuple[PublicKey, ...]:
    """Return the token service's keys, none for any other issuer."""
    return (SERVICE.public,) if issuer == ISSUER else ()


def hop(agent: str, authority: Authority, *, jti: str = "", seconds: int = 240, **changes: Any) -> HopTerms:
    """Return the terms of a hop for an agent whose key is in its `cnf`."""
    made: dict[str, Any] = {
        "jti": jti or f"hop-{agent}",
        "agent": agent,
        "confirmation": confirmation_of(AGENTS[agent].public),
        "audiences": (AUDIENCE,),
        "authority": authority,
        "issued_at": NOW,
        "expires_at": UnixMillis(NOW + seconds * 1000),
    }
    return HopTerms(**{**made, **changes})


def root(authority: Authority = WIDE, agent: str = "orchestrator", **changes: Any) -> str:
    """Return a root hop, issued by the token service."""
    terms = hop(agent, authority, **{"seconds": 3600, "depth_limit": 6, **changes})
    return issue_root(terms, issuer=ISSUER, principal=ALICE, mission=MISSION, key=SERVICE)


def below(parents: tuple[str, ...], holder: str, terms: HopTerms) -> str:
    """Return a hop signed by the holder of the last hop."""
    return sign_hop(parents, terms, key=AGENTS[holder])


def online(parents: tuple[str, ...], terms: HopTerms) -> str:
    """Return a hop signed by the token service."""
    return issue_hop(parents, terms, issuer=ISSUER, key=SERVICE)


def three() -> tuple[str, ...]:
    """Return a root hop, an online hop, and an offline hop below it."""
    first = root()
    second = online((first,), hop("researcher", NARROW, seconds=900))
    return first, second, below((first, second), "researcher", hop("writer", LEAST))


def verify(tokens: Sequence[str], **changes: Any) -> Chain:
    """Verify a chain as the gateway does, with possession and status granted unless the test says otherwise."""
    given: dict[str, Any] = {
        "keys_of": trusted,
        "audience": AUDIENCE,
        "now": NOW,
        "proved": holder_not_asked,
        "status": status_not_asked,
    }
    return verified_chain(tokens, **{**given, **changes})


def refund(**changes: Any) -> Attempt:
    """Return an action that LEAST permits."""
    made: dict[str, Any] = {
        "capability": "crm.refund",
        "environment": "production",
        "resource_type": "Case",
        "resource_id": "4711",
        "arguments": {"amount": 100},
        "sensitivity": "public",
    }
    return Attempt(**{**made, **changes})


def claims_in(token: str) -> dict[str, JSONValue]:
    """Return a token's claims, as a forger would extract them."""
    return dict(read_raw(token).claims)


def forged(claims: dict[str, JSONValue], sign: SigningKey, **header: str) -> str:
    """Return a token with any claims and header, with a valid signature of this key but without any check."""
    alg = "Ed25519" if sign.algorithm == "ed25519" else "ES256"
    head: dict[str, JSONValue] = {"alg": alg, "kid": sign.public.thumbprint, "typ": "at+jwt", **header}
    text = f"{to_base64url(encode(head))}.{to_base64url(encode(claims))}"
    return f"{text}.{to_base64url(sign.sign(text.encode()))}"
