"""Obtain a mandate as a token, delegate part of it to another agent, and act with a received token.

    chain = await token_for(client, base, key=key, mandate="...")
    part = hand_on(chain, Receiver(agent="writer", key=their_key), Narrowing(scopes=("crm.note-add",)), key=key)
    acting = await token_to_act(client, base, chain=part, auth=their_key)

Each result is a chain of hops, root first, in the form of the field `Answerable-Delegation`. A chain need not be
secret: only the holder of the key that its last hop names can act with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx2

from answerable.connection_fault import connection_fault
from answerable.core.canonical import Limits, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate import oauth_terms
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.delegation_chain import OFFLINE_SECONDS_MAX, SEPARATOR, split_chain
from answerable.core.mandate.hop_signing import HopTerms, sign_hop
from answerable.core.mandate.hop_token import confirmation_of, read_hop, thumbprint_uri
from answerable.errors import Malformed, shown
from answerable.errors.codes.mandate import DELEGATION_DEPTH_INVALID, DELEGATION_LIFETIME
from answerable.errors.codes.tokens import TOKEN_ANSWER_UNAVAILABLE, TOKEN_REFUSED, TOKEN_UNREACHABLE
from answerable.sdk.proof_auth import SignatureAuth
from answerable.sdk.system_access import SYSTEM_WORLD, SystemAccess

if TYPE_CHECKING:
    from answerable.core.identity.keys.keys import PublicKey, SigningKey
    from answerable.core.mandate.constraint import Constraint

EXCHANGE_PATH: Final = "/oauth/token"
ANSWER_BYTES_MAX: Final = 1_048_576
_ANSWER_LIMITS: Final = Limits(size_bytes_max=ANSWER_BYTES_MAX)
JTI_BYTES: Final = 16
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """The receiver of a delegation: the agent's registered name, and the public key with which it proves its
    requests."""

    agent: str
    key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Limits of a delegation. scopes: those to delegate, or empty for all. constraints: in addition to the existing
    ones, or tighter in their place. seconds: validity, never longer than that of the parent."""

    scopes: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    seconds: int = OFFLINE_SECONDS_MAX


async def token_for(
    client: httpx2.AsyncClient, base: str, *, mandate: str, auth: httpx2.Auth | SigningKey
) -> str:
    """Obtain from the token service the first hop for a mandate of the agent's own, as a parent for delegation. auth:
    proves the agent's key.

    Raises Refused (`token.refused`) with the service's reason, Unavailable (`token.unreachable`, `token.answer`).
    """
    form = {
        "subject_token": mandate,
        "subject_token_type": oauth_terms.TYPE_MANDATE,
        "requested_token_type": oauth_terms.TYPE_DELEGATION,
    }
    return await _exchanged(client, base, form, auth)


async def token_to_act(
    client: httpx2.AsyncClient, base: str, *, chain: str, auth: httpx2.Auth | SigningKey
) -> str:
    """Obtain a chain to act with, from a chain whose last hop is the agent's own: short-lived, and single-use if the
    tier requires that.

    A hop that another agent signed is a consent, which is exchanged, as often as needed while it is valid, without
    adding a hop. A hop from the token service, or one that the agent signed for itself, gets one hop more below it.
    auth: proves the agent's key. Raises as `token_for`, and Malformed and Unverified (`delegation.*`) for an invalid
    chain.
    """
    tokens = split_chain(chain)
    leaf = read_hop(tokens[-1])
    giver = read_hop(tokens[-2]).confirmation.thumbprint if len(tokens) > 1 else ""
    is_consent = leaf.issuer == thumbprint_uri(giver) and giver != leaf.confirmation.thumbprint
    above = tokens[:-1] if is_consent else tokens
    form = {
        "subject_token": above[-1],
        "subject_token_type": oauth_terms.TYPE_DELEGATION,
        "requested_token_type": oauth_terms.TYPE_ACCESS,
    }
    if len(above) > 1:
        form["delegation"] = SEPARATOR.join(above[:-1])
    if is_consent:
        form["consent"] = tokens[-1]
    return await _exchanged(client, base, form, auth)


async def exchange_part(
    client: httpx2.AsyncClient, base: str, *, chain: str, auth: httpx2.Auth | SigningKey
) -> str:
    """Exchange a chain whose last hop another agent signed as its consent for a chain whose last hop the token service
    signs.

    The result is valid longer than a hop that an agent signs itself, and is in the status list. auth: proves the
    caller's own key. Raises Malformed (`delegation.*`) for a chain without a delegation to the caller, else as
    `token_for`.
    """
    *above, subject, consent = ("", *split_chain(chain))
    if not subject:
        raise DELEGATION_DEPTH_INVALID(
            "the chain is a single hop, issued by the token service: there is nothing to exchange"
        )
    form = {
        "subject_token": subject,
        "subject_token_type": oauth_terms.TYPE_ACCESS,
        "requested_token_type": oauth_terms.TYPE_DELEGATION,
        "consent": consent,
    }
    hops = SEPARATOR.join(one for one in above if one)
    return await _exchanged(client, base, form | ({"delegation": hops} if hops else {}), auth)


async def _exchanged(
    client: httpx2.AsyncClient, base: str, form: dict[str, str], auth: httpx2.Auth | SigningKey
) -> str:
    form = {"grant_type": oauth_terms.GRANT_EXCHANGE, **form}
    proof = auth if isinstance(auth, httpx2.Auth) else SignatureAuth(auth)
    try:
        response = await client.post(base + EXCHANGE_PATH, data=form, auth=proof)
    except httpx2.HTTPError as fault:
        raise TOKEN_UNREACHABLE(f"the token service cannot be reached ({connection_fault(fault)})") from None
    answer = _answer(response)
    if response.status_code != _OK:
        said = answer.get("error_description") or answer.get("error") or f"HTTP {response.status_code}"
        raise TOKEN_REFUSED(f"the token service refused: {shown(said, 300)}")
    chain = answer.get("delegation")
    if not isinstance(chain, str):
        raise TOKEN_ANSWER_UNAVAILABLE()
    return chain


def hand_on(
    chain: str,
    receiver: Receiver,
    narrowing: Narrowing,
    *,
    key: SigningKey,
    world: SystemAccess = SYSTEM_WORLD,
) -> str:
    """Return the chain with one hop more for the receiver, signed by the key that the last hop names.

    Raises Malformed and Unverified (`delegation.*`) for a chain that is invalid, another holder's or expired, and for
    more rights than the chain has.
    """
    tokens = split_chain(chain)
    leaf = read_hop(tokens[-1])
    if not 1 <= narrowing.seconds <= OFFLINE_SECONDS_MAX:
        raise DELEGATION_LIFETIME(
            f"a hop that an agent signs is valid for 1 to {OFFLINE_SECONDS_MAX} seconds, got "
            f"{narrowing.seconds}"
        )
    bounds = {(one.key, one.type): one for one in (*leaf.authority.constraints, *narrowing.constraints)}
    now = UnixMillis(int(world.unix_seconds() * 1000))
    # The wire format has whole seconds: truncate, so that the hop is not valid longer than requested.
    issued_at = UnixMillis(now // 1000 * 1000)
    terms = HopTerms(
        jti=world.random_bytes(JTI_BYTES).hex(),
        agent=receiver.agent,
        confirmation=confirmation_of(receiver.key),
        audiences=leaf.audiences,
        authority=Authority(
            scopes=narrowing.scopes or leaf.authority.scopes, constraints=tuple(bounds.values())
        ),
        issued_at=issued_at,
        expires_at=UnixMillis(min(issued_at + narrowing.seconds * 1000, leaf.expires_at)),
    )
    return SEPARATOR.join((*tokens, sign_hop(tokens, terms, key=key)))


def _answer(response: httpx2.Response) -> dict[str, Any]:
    try:
        value = parse(response.content, limits=_ANSWER_LIMITS)
    except Malformed:
        value = None
    if not isinstance(value, dict):
        raise TOKEN_ANSWER_UNAVAILABLE()
    return value
