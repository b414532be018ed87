"""Check who signed a hop: a token service trusted for its issuer, or the delegating agent (delegator-bound).

Laws: the issuer that a hop names decides which keys are tried, never the key in its header; the algorithm is that of
the key; only a trusted issuer can sign a first hop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Protocol, TypeAlias

from answerable.core.identity.keys.compact_jws import CompactJWS, check_compact
from answerable.core.identity.keys.keys import PublicKey
from answerable.core.mandate.hop_token import UnverifiedHop, thumbprint_uri
from answerable.errors import Unverified, shown
from answerable.errors.codes.mandate import (
    DELEGATION_ALGORITHM,
    DELEGATION_SIGNATURE,
    DELEGATION_SIGNATURE_INVALID,
)

Form = Literal["online", "offline"]
KeysOf: TypeAlias = Callable[[str], Iterable[PublicKey]]


class Signatures(Protocol):
    """The rule for who may sign a hop. Production uses `DelegatorBound`."""

    def form(self, hop: UnverifiedHop, parent: UnverifiedHop | None) -> Form:
        """Return how the hop is signed. Raises Unverified (`delegation.signature_invalid`) if the signature is not
        acceptable.

        parent: None for the first hop; the caller has already checked the parent's own signature.
        """


class DelegatorBound:
    """Trusted issuers sign any hop; the holder of a hop signs its direct children, with the key in the hop's `cnf`.

    keys_of: the keys trusted for an issuer, none for an unknown issuer.
    """

    __slots__ = ("_keys_of",)

    def __init__(self, keys_of: KeysOf) -> None:
        self._keys_of = keys_of

    def form(self, hop: UnverifiedHop, parent: UnverifiedHop | None) -> Form:
        """Check the signature by the rule of this class. The named issuer decides which keys are tried, never the key
        in the header."""
        holder = parent.confirmation if parent is not None else None
        if holder is not None and holder.method == "jkt" and hop.issuer == thumbprint_uri(holder.thumbprint):
            if holder.key is None:
                raise signature_fault(
                    "its parent's `cnf` has no `jwk`, so only a token service can sign below it"
                )
            check_signature(hop.raw.jws, holder.key)
            return "offline"
        kid = hop.raw.jws.header["kid"]
        for key in self._keys_of(hop.issuer):
            if key.thumbprint == kid:
                check_signature(hop.raw.jws, key)
                return "online"
        raise signature_fault(
            f"issuer {shown(hop.issuer, 100)} has no trusted key with the id {shown(kid, 60)}"
        )


def check_signature(jws: CompactJWS, key: PublicKey) -> None:
    """Check a hop's signature by this key. Raises Unverified (`delegation.signature_invalid`) for another algorithm
    than the key's, another `kid`, or an invalid signature."""
    if jws.header["kid"] != key.thumbprint:
        raise signature_fault("`kid` is not the thumbprint of the key that must have signed")
    try:
        check_compact(jws, key, algorithm=DELEGATION_ALGORITHM, signature=DELEGATION_SIGNATURE)
    except Unverified as error:
        raise signature_fault(error.message) from None


def signature_fault(message: str) -> Unverified:
    """Return the error that every signature fault has; the message gives the reason."""
    return DELEGATION_SIGNATURE_INVALID(message)
