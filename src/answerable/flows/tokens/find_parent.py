"""Find the parent that a token exchange derives from, and the key its token is bound to; both must be proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate import oauth_terms
from answerable.core.mandate.authority import Authority, authority_of
from answerable.core.mandate.delegation_chain import SEPARATOR, Hop
from answerable.core.mandate.hop_token import Confirmation, confirmation_by, confirmation_of
from answerable.core.mandate.mandate import Mandate, MandateId
from answerable.core.mandate.session_claims import within_session
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.mandate import MANDATE_UNKNOWN
from answerable.errors.codes.tokens import OAUTH_INVALID_GRANT, OAUTH_INVALID_REQUEST
from answerable.flows.validity.mandate_validity import known_session, still_stands
from answerable.flows.validity.verify_lineage import chain_mandate, verified_claim

if TYPE_CHECKING:
    from answerable.flows.state.token_desk import TokenState
    from answerable.flows.tokens.authenticate_client import TokenClient


class Exchange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A client's exchange request. `consent`: a hop that the parent signed for it. `chain`: hops above the subject
    token, root first. `key`: thumbprint of the key of this request's DPoP proof; empty without one."""

    subject_token: str
    subject_token_type: str
    actor_token: str = ""
    actor_token_type: str = ""
    consent: str = ""
    chain: str = ""
    resource: str = ""
    scope: str = ""
    authorization_details: str = ""
    requested_token_type: str = oauth_terms.TYPE_ACCESS
    key: str = ""


class Parent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The parent: a mandate, and the hops below it. `within`: the most this client may have of it.

    `depth_limit`: how many hops there may be. `consent`: the hop by which the parent agreed, if it is another agent.
    """

    mandate: Mandate
    hops: tuple[Hop, ...]
    within: Authority
    depth_limit: int
    expires_at: UnixMillis
    consent: Hop | None = None


def confirmation_for(desk: TokenState, client: TokenClient, key: str, now: UnixMillis) -> Confirmation:
    """Return what the token is bound to: a key that the client proved with this request, never one it only named.

    Raises Malformed (`oauth.invalid_request`), Unverified, Refused (`oauth.invalid_grant`).
    """
    proved = key or client.key
    if proved:
        known = desk.known.by_key(proved, now)
        if known.agent.name != client.agent or known.identity.instance != client.identity.instance:
            raise OAUTH_INVALID_GRANT("the proof is by the key of another agent or instance")
        return confirmation_of(known.key)
    if client.certificate:
        return confirmation_by("x5t#S256", client.certificate)
    if client.process:
        return confirmation_by("answerable_process", client.process)
    raise OAUTH_INVALID_REQUEST(
        "no key was proved that the token can be bound to: send a DPoP proof, or prove "
        "possession in another way"
    )


def parent_of(
    desk: TokenState, client: TokenClient, wanted: Exchange, confirmation: Confirmation, now: UnixMillis
) -> Parent:
    """Return the parent: the client's own mandate, its own token, or another agent's token with that agent's consent.

    Raises Malformed (`oauth.*`), Refused.
    """
    if wanted.subject_token_type == oauth_terms.TYPE_MANDATE:
        return _from_mandate(desk, client, wanted)
    if wanted.subject_token_type not in (oauth_terms.TYPE_ACCESS, oauth_terms.TYPE_DELEGATION):
        raise OAUTH_INVALID_REQUEST(
            f"subject tokens of type {shown(wanted.subject_token_type)} are not accepted: use "
            f"{oauth_terms.TYPE_MANDATE} or {oauth_terms.TYPE_ACCESS}"
        )
    tokens = [one for one in (wanted.chain, wanted.subject_token) if one]
    chain = verified_claim(desk.verification, SEPARATOR.join(tokens), now)
    mandate = chain_mandate(desk.authority, chain, origin=desk.recorder.ledger.origin)
    if _is_for(chain.leaf, client, confirmation):
        return Parent(
            mandate=mandate,
            hops=chain.hops,
            within=chain.leaf.authority,
            depth_limit=chain.depth_limit,
            expires_at=chain.leaf.expires_at,
        )
    if not wanted.consent:
        raise OAUTH_INVALID_GRANT(
            f"the token was issued to agent {shown(chain.leaf.agent)}: `consent` must be a hop that "
            "this agent signed for you"
        )
    consent = verified_claim(desk.verification, SEPARATOR.join((*tokens, wanted.consent)), now)
    chain_mandate(desk.authority, consent, origin=desk.recorder.ledger.origin)
    if consent.leaf.form != "offline" or not _is_for(consent.leaf, client, confirmation):
        raise OAUTH_INVALID_GRANT("the consent is for another agent or key than yours")
    return Parent(
        mandate=mandate,
        hops=chain.hops,
        within=consent.leaf.authority,
        depth_limit=consent.depth_limit,
        # The consent limits the authority. It can be exchanged for at most five minutes, but does not limit the token's
        # life.
        expires_at=chain.leaf.expires_at,
        consent=consent.leaf,
    )


def _is_for(hop: Hop, client: TokenClient, confirmation: Confirmation) -> bool:
    """Whether a hop is for this client, by agent and by its proved key."""
    bound = hop.confirmation
    return (hop.agent, bound.method, bound.thumbprint) == (
        client.agent,
        confirmation.method,
        confirmation.thumbprint,
    )


def _from_mandate(desk: TokenState, client: TokenClient, wanted: Exchange) -> Parent:
    mandate = desk.authority.mandates.find(MandateId(wanted.subject_token))
    if mandate is None or mandate.agent != client.agent:
        raise MANDATE_UNKNOWN(f"mandate {shown(wanted.subject_token)} is not known")
    still_stands(mandate, desk.authority.registry.current, origin=desk.recorder.ledger.origin)
    try:
        within = within_session(authority_of(mandate), known_session(desk.authority.sessions, mandate))
    except Malformed as fault:
        raise Refused(fault.message, code=fault.code) from None
    return Parent(
        mandate=mandate,
        hops=(),
        within=within,
        depth_limit=mandate.delegability.depth_max + 1,
        expires_at=mandate.expires_at,
    )
