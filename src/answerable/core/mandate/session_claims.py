"""Read what a person's login allows for the tasks given through it, from claims of the ID token presented with the
mandate.

| claim                   | relevant part                                                                     |
|-------------------------|-----------------------------------------------------------------------------------|
| `scope`                 | words that begin with `answerable:`, followed by the name of a capability         |
| `authorization_details` | the one object of type `agent_delegation` (RFC 9396), as in `authority.py`        |

Laws: either claim permanently narrows every mandate given through that login, and never widens one; entries for other
services are ignored; an entry for this product that cannot be read refuses the mandate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.identity.workload.oidc_claims import claimed
from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.attenuation import meet
from answerable.core.mandate.authority import Authority, authority_in, failure, limits_of
from answerable.core.mandate.budget import Account
from answerable.core.mandate.mandate import Shortfall
from answerable.errors import Malformed, shown
from answerable.errors.codes.mandate import MANDATE_SESSION, MANDATE_SESSION_DECISION

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.caveat import Attempt
    from answerable.core.mandate.mandate import MandateTerms

SCOPE: Final = "scope"
SCOPE_PREFIX: Final = "answerable:"
SESSION_ACCOUNT: Final = "session:"
"""Prefix, before the id of the mandate, of accounts in which a login's sums are counted."""
WHOSE: Final = "the login that this task was given by"


def session_of(mandate: MandateTerms) -> tuple[Authority, ...]:
    """Return the authority that each claim of the login allows. Empty for a mandate signed by the person's own key, and
    for a login without such claims.

    Raises Malformed (`mandate.session`, `oidc.malformed`).
    """
    if not mandate.id_token:
        return ()
    claims = claimed(mandate.id_token)
    found = (_scoped(claims.get(SCOPE)), _detailed(claims.get(terms.DETAILS)))
    return tuple(one for one in found if one is not None)


def within_session(authority: Authority, session: tuple[Authority, ...]) -> Authority:
    """Restrict an authority to what the login allows. Raises Malformed (`delegation.nothing_in_common`)."""
    for one in session:
        authority = meet(authority, one)
    return authority


def session_shortfall(session: tuple[Authority, ...], attempt: Attempt) -> Shortfall | None:
    """Return why the login does not permit an attempt, or None if it does. Sums are left to the accounts."""
    for one in session:
        why = failure(one, attempt, reserved=limits_of(one).keys())
        if why is not None:
            return Shortfall(code=MANDATE_SESSION_DECISION.id, text=f"{WHOSE} {why.text}")
    return None


def session_account(mandate: MandateTerms, session: tuple[Authority, ...]) -> tuple[Account, ...]:
    """Return the account for the sums that the login bounds; empty if it bounds none."""
    limits: dict[str, int] = {}
    for one in session:
        for name, limit in limits_of(one).items():
            limits[name] = min(limits.get(name, limit), limit)
    return (Account(id=f"{SESSION_ACCOUNT}{mandate.id}", limits=limits, whose=WHOSE),) if limits else ()


def session_sentences(session: tuple[Authority, ...]) -> tuple[str, ...]:
    """Describe the login's limits in human-readable sentences."""
    found: list[str] = []
    for one in session:
        names = ", ".join(map(shown, one.scopes))
        found.append(f"The login that it was given by allows {names} and nothing else.")
        if one.constraints:
            keys = ", ".join(shown(bound.key, 60) for bound in one.constraints)
            found.append(f"That login has bounds of its own on {keys}.")
    return tuple(found)


def _scoped(claim: JSONValue) -> Authority | None:
    if claim is None:
        return None
    words = claim.split(" ") if isinstance(claim, str) else claim
    if not isinstance(words, list) or not all(isinstance(one, str) for one in words):
        raise _fault(f"`{SCOPE}` is neither text nor a list of texts")
    ours = (one.removeprefix(SCOPE_PREFIX) for one in map(str, words) if one.startswith(SCOPE_PREFIX))
    names = tuple(dict.fromkeys(ours))
    if not names:
        return None
    try:
        return Authority(scopes=names)
    except Malformed as error:
        raise _fault(f"`{SCOPE}`: {error.message}") from None


def _detailed(claim: JSONValue) -> Authority | None:
    if claim is None:
        return None
    if not isinstance(claim, list) or not all(isinstance(one, dict) for one in claim):
        raise _fault(f"`{terms.DETAILS}` is not a list of objects")
    ours = [one for one in claim if isinstance(one, dict) and one.get(terms.DETAIL_TYPE) == terms.DELEGATION]
    if len(ours) > 1:
        raise _fault(f"`{terms.DETAILS}` has more than one object of type `{terms.DELEGATION}`")
    if not ours:
        return None
    try:
        return authority_in(ours[0])
    except Malformed as error:
        raise _fault(f"`{terms.DETAILS}`: {error.message}") from None


def _fault(message: str) -> Malformed:
    return MANDATE_SESSION(f"the session claims of the ID token cannot be read: {message}")
