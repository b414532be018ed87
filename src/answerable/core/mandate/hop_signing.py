"""Mint hops. A hop that our own verifier would refuse is not returned.

Laws: the new hop is read back and checked against its parents in every step except the parents' own signatures, status
and possession, which the minter may be unable to check; no minted hop outlives or exceeds its parent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.authority import Authority, detail_of
from answerable.core.mandate.delegation_chain import (
    DEPTH_USUAL,
    checked_chain,
    holder_not_asked,
    status_not_asked,
)
from answerable.core.mandate.hop_signature import Form, check_signature, signature_fault
from answerable.core.mandate.hop_token import (
    CLAIMS,
    Confirmation,
    Mission,
    UnverifiedHop,
    confirmation_claim,
    read_hop,
    thumbprint_uri,
)
from answerable.errors import shown
from answerable.errors.codes.mandate import DELEGATION_AUDIENCE_MISMATCH, DELEGATION_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.identity.names.principal import UnixMillis


@dataclass(frozen=True, slots=True, kw_only=True)
class HopTerms:
    """The content of a new hop. Times are truncated to whole seconds, the expiry too.

    depth_limit: most hops in the chain; None inherits the parent's limit, and the first hop must set it. more: further
    claims, such as `act`, `txn`, `status` or `scope`, for readers that know them.
    """

    jti: str
    agent: str
    confirmation: Confirmation
    audiences: tuple[str, ...]
    authority: Authority
    issued_at: UnixMillis
    expires_at: UnixMillis
    depth_limit: int | None = None
    more: Mapping[str, JSONValue] = field(default_factory=lambda: MappingProxyType({}))


def sign_hop(parents: Sequence[str], hop: HopTerms, *, key: SigningKey, depth_max: int = DEPTH_USUAL) -> str:
    """Mint a hop below `parents` without a token service, signed by the key that the last parent holds.

    parents: tokens, root first. Raises what `verified_chain` would raise for the chain with the new hop at its own
    `issued_at`, and Malformed (`delegation.malformed`, `json.*`, `statement.size`).
    """
    above = tuple(read_hop(token) for token in parents)
    if not above:
        raise DELEGATION_MALFORMED("only the token service issues a hop without a parent")
    claims = _below(above[-1], hop, issuer=thumbprint_uri(key.public.thumbprint))
    return _minted(above, hop, claims, key=key, depth_max=depth_max)


def issue_hop(
    parents: Sequence[str], hop: HopTerms, *, issuer: str, key: SigningKey, depth_max: int = DEPTH_USUAL
) -> str:
    """Mint a hop below `parents`, signed by the token service `issuer` with its key. Raises as `sign_hop` does."""
    above = tuple(read_hop(token) for token in parents)
    if not above:
        raise DELEGATION_MALFORMED("the first hop of a chain needs its principal and mission")
    return _minted(above, hop, _below(above[-1], hop, issuer=issuer), key=key, depth_max=depth_max)


def issue_root(hop: HopTerms, *, issuer: str, principal: str, mission: Mission, key: SigningKey) -> str:
    """Mint the first hop of a chain, for a mandate. Raises as `sign_hop` does."""
    claims = _claims(hop, issuer=issuer, principal=principal, mission=mission, depth=0)
    return _minted((), hop, claims, key=key, depth_max=0)


def _below(parent: UnverifiedHop, hop: HopTerms, *, issuer: str) -> dict[str, JSONValue]:
    if type(parent.depth) is not int or parent.mission is None:
        raise DELEGATION_MALFORMED("the parent has no `del_depth` or no `mission`")
    claims = _claims(
        hop, issuer=issuer, principal=parent.principal, mission=parent.mission, depth=parent.depth + 1
    )
    return {**claims, terms.PARENT_HASH: parent.raw.hash}


def _claims(
    hop: HopTerms, *, issuer: str, principal: str, mission: Mission, depth: int
) -> dict[str, JSONValue]:
    taken = [name for name in hop.more if name in CLAIMS]
    if taken:
        raise DELEGATION_MALFORMED(
            f"claim {shown(taken[0], 40)} of a hop cannot be given: the signer sets it"
        )
    audiences: list[JSONValue] = list(hop.audiences)
    claims: dict[str, JSONValue] = {
        **hop.more,
        terms.ISSUER: issuer,
        terms.SUBJECT: principal,
        terms.CLIENT: hop.agent,
        terms.AUDIENCE: audiences[0] if len(audiences) == 1 else audiences,
        terms.JWT_ID: hop.jti,
        terms.ISSUED: hop.issued_at // 1000,
        terms.EXPIRES: hop.expires_at // 1000,
        terms.CONFIRMATION: confirmation_claim(hop.confirmation),
        terms.DEPTH: depth,
        terms.DETAILS: [detail_of(hop.authority)],
        terms.MISSION: {terms.MISSION_ID: mission.id, terms.AUTHORITY_HASH: mission.authority_hash},
    }
    if hop.depth_limit is not None:
        claims[terms.DEPTH_LIMIT] = hop.depth_limit
    return claims


def _minted(
    above: tuple[UnverifiedHop, ...],
    hop: HopTerms,
    claims: Mapping[str, JSONValue],
    *,
    key: SigningKey,
    depth_max: int,
) -> str:
    token = signed_statement(claims, typ=terms.TYP, key=key)
    made = read_hop(token)
    for audience in made.audiences:
        checked_chain(
            (*above, made),
            signatures=_LastAlone(key, made),
            audience=_shared(audience, above),
            now=hop.issued_at,
            proved=holder_not_asked,
            status=status_not_asked,
            depth_max=depth_max,
        )
    return token


def _shared(audience: str, above: tuple[UnverifiedHop, ...]) -> str:
    """Return the audience of the first hop that contains the new hop's audience; every hop between must contain it too.
    A hop for a whole deployment may be handed on for one resource of it, and not the other way round."""
    for hop in above:
        if not any(lies_within(audience, one) for one in hop.audiences):
            raise DELEGATION_AUDIENCE_MISMATCH(
                f"audience {shown(audience, 60)} is not within that of the parent, "
                f"{shown(', '.join(hop.audiences))}"
            )
    firsts = above[0].audiences if above else ()
    return next((one for one in firsts if lies_within(audience, one)), audience)


def lies_within(audience: str, wider: str) -> bool:
    """Whether one audience equals the other, or is a resource of it."""
    return audience == wider or audience.startswith(f"{wider}/")


class _LastAlone:
    """The signature rule for minting: check the new hop by the delegator-bound rule, and derive the form of its parents
    without checking their signatures."""

    __slots__ = ("_key", "_made")

    def __init__(self, key: SigningKey, made: UnverifiedHop) -> None:
        self._key = key
        self._made = made

    def form(self, hop: UnverifiedHop, parent: UnverifiedHop | None) -> Form:
        holder = parent.confirmation if parent is not None else None
        by_holder = holder is not None and hop.issuer == thumbprint_uri(holder.thumbprint)
        if hop is not self._made:
            return "offline" if by_holder else "online"
        if by_holder and (holder is None or holder.key is None):
            raise signature_fault(
                "its parent's `cnf` has no `jwk`, so only a token service can sign below it"
            )
        if hop.issuer.startswith(terms.THUMBPRINT_URI) and not by_holder:
            raise signature_fault("the key is not the one that the parent's `cnf` names")
        check_signature(hop.raw.jws, self._key.public)
        return "offline" if by_holder else "online"
