"""Taking a mandate as a token of one's own, handing part of it on to another agent, and acting by what was received.

    chain = await token_for(client, base, key=key, mandate="...")
    part = hand_on(chain, Receiver(agent="writer", key=their_key), Narrowing(scopes=("crm.note-add",)), key=key)
    acting = await token_to_act(client, base, chain=part, auth=their_key)

What comes out is a chain, root first, as the field `Answerable-Delegation` has it. It may travel in the open: only the
holder of the key that its last hop names can act by it.
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
    """Who gets a part: the agent's registered name, and the public key that it proves its requests with."""

    agent: str
    key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What is left of it. scopes: those that are handed on, else all. constraints: bounds beside those there are, or
    tighter in their place. seconds: how long it is good for, never longer than what it comes from."""

    scopes: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    seconds: int = OFFLINE_SECONDS_MAX


async def token_for(
    client: httpx2.AsyncClient, base: str, *, mandate: str, auth: httpx2.Auth | SigningKey
) -> str:
    """The first hop for a mandate of one's own, by the token service, to hand on from. auth: proves the agent's key.

    Raises Refused (`token.refused`) with the reason of the service, Unavailable (`token.unreachable`, `token.answer`).
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
    """A chain to act by, for one whose last hop is one's own: short-lived, and good once where the tier asks for that.

    What another agent signed is a consent that is exchanged, as often as is wanted while it lasts, and no hop more.
    What one holds from the token service, or signed for oneself, gets one hop more below it. auth: proves the agent's
    key. Raises as `token_for`, and Malformed and Unverified (`delegation.*`) for a chain that does not read.
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
    """A chain whose last hop the token service signed, for one that another agent signed for us as its consent.

    It lasts longer than what an agent signs itself, and stands in the status list. auth: proves our key.
    Raises Malformed (`delegation.*`) for a chain in which nobody handed anything on to us, else as `token_for`.
    """
    *above, subject, consent = ("", *split_chain(chain))
    if not subject:
        raise DELEGATION_DEPTH_INVALID(
            "the chain is one token of the token service's own: there is nothing to exchange"
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
    """The chain with one hop more, signed by the key that its last hop names: for the receiver, and for no more.

    Raises Malformed and Unverified (`delegation.*`) for a chain that does not read, is another's or has ended, and for
    more than it holds.
    """
    tokens = split_chain(chain)
    leaf = read_hop(tokens[-1])
    if not 1 <= narrowing.seconds <= OFFLINE_SECONDS_MAX:
        raise DELEGATION_LIFETIME(
            f"what an agent hands on is good for 1 to {OFFLINE_SECONDS_MAX} seconds, got {narrowing.seconds}"
        )
    bounds = {(one.key, one.type): one for one in (*leaf.authority.constraints, *narrowing.constraints)}
    now = UnixMillis(int(world.unix_seconds() * 1000))
    # Whole seconds on the wire: cut here, so that the hop lasts no longer than was said.
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
