"""Introspect a token (RFC 7662): for its holder, for the agents that delegated it, and for this service's own
processes.

Laws: a client that may not know gets the same answer as for an unknown token. A token that the registers, the registry
or its mandate do not let act is not active, whatever its claims say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import Limits, parse
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.mandate import delegation_terms, oauth_terms
from answerable.core.mandate.authority import detail_of
from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.hop_token import HOP_CHARS_MAX, confirmation_claim
from answerable.errors import AnswerableError, Unavailable
from answerable.errors.codes.mandate import DELEGATION_MALFORMED, MANDATE_CLOSED
from answerable.flows.validity.refuse_revoked import mandate_names, names_of_hop, refuse_names
from answerable.flows.validity.verify_lineage import chain_mandate, verified_claim

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.delegation_chain import Chain
    from answerable.flows.state.token_desk import TokenState
    from answerable.flows.tokens.authenticate_client import TokenClient

INACTIVE: dict[str, JSONValue] = {"active": False}


def introspect_token(desk: TokenState, client: TokenClient, text: str) -> dict[str, JSONValue]:
    """Return the introspection response. `text`: a root token, or a chain, root first. Raises Unavailable if it is not
    known."""
    try:
        chain = standing_chain(desk, text)
    except Unavailable:
        raise
    except AnswerableError:
        return dict(INACTIVE)
    if client.agent not in {hop.agent for hop in chain.hops}:
        return dict(INACTIVE)
    leaf = chain.leaf
    audiences: list[JSONValue] = list(leaf.audiences)
    found: dict[str, JSONValue] = {
        "active": True,
        "scope": " ".join(leaf.authority.scopes),
        "client_id": leaf.agent,
        "sub": leaf.principal,
        "iss": leaf.issuer,
        "aud": audiences,
        "jti": leaf.jti,
        "exp": leaf.expires_at // 1000,
        "token_type": oauth_terms.DPOP if leaf.confirmation.method == "jkt" else oauth_terms.NOT_APPLICABLE,
        "authorization_details": [detail_of(leaf.authority)],
        delegation_terms.CONFIRMATION: confirmation_claim(leaf.confirmation),
        delegation_terms.DEPTH: leaf.depth,
    }
    if leaf.mission is not None:
        found["txn"] = leaf.mission.id
    claims = parse(_payload(leaf.token), limits=Limits(size_bytes_max=HOP_CHARS_MAX))
    if isinstance(claims, dict):
        found.update({name: claims[name] for name in ("iat", "act", "status") if name in claims})
    return found


def standing_chain(desk: TokenState, text: str) -> Chain:
    """Return a chain that could act now. Raises Refused if it could not, Unavailable if that is not known."""
    chain = verified_claim(desk.verification, text, desk.recorder.clock.now())
    mandate = chain_mandate(desk.authority, chain, origin=desk.recorder.ledger.origin)
    if desk.authority.mandates.state(mandate.id) != "open":
        raise MANDATE_CLOSED("the mandate for this task has been closed")
    refuse_names(desk.authority, mandate_names(desk.authority, mandate))
    for hop in chain.hops:
        refuse_names(desk.authority, names_of_hop(desk.authority, hop))
    return chain


def signed_introspection(desk: TokenState, client: TokenClient, found: dict[str, JSONValue]) -> str:
    """Sign the introspection response as a JWT that can be stored as evidence (RFC 9701, section 5)."""
    claims: dict[str, JSONValue] = {
        "iss": desk.issuer(),
        "aud": client.identity.instance or client.agent,
        "iat": desk.recorder.clock.now() // 1000,
        "token_introspection": found,
    }
    return signed_statement(claims, typ=oauth_terms.INTROSPECTION_TYP, key=desk.keys[0])


def _payload(token: str) -> bytes:
    from answerable.core.identity.keys.compact_jws import read_compact

    return read_compact(token, malformed=DELEGATION_MALFORMED).payload


def leaf_of(text: str) -> str:
    """Return the last token of a chain."""
    return text.rpartition(SEPARATOR)[2]
