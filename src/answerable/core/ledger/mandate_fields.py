"""Build the sealed fields of entries about a mandate: names of people, purpose, the token, and its integrity anchors.

The anchors are digests of possibly personal values that are short enough to be guessed: in a leaf they would confirm
every correct guess of the purpose. So they are sealed fields, to which the leaf commits with a salt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.mandate.authority import detail_of
from answerable.core.mandate.mission import authority_hash, intent_hash
from answerable.core.mandate.session_claims import session_of

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.ledger.disclosure import Field
    from answerable.core.mandate.mandate import Mandate


def mandate_fields(mandate: Mandate, *, audience: str, owner: str) -> list[Field]:
    """Build the fields. owner: the person who answers for the schedule that gave the mandate; empty where a person gave
    it."""
    return [
        (b"authority_hash", encode(authority_hash(mandate, audience=audience))),
        (b"intent_hash", encode(intent_hash(mandate, audience=audience))),
        *_owner_fields(owner),
        (b"principal_name", encode(mandate.principal)),
        (b"purpose", encode(mandate.purpose)),
        *_session_fields(mandate),
        (b"token", encode(mandate.token)),
    ]


def _session_fields(mandate: Mandate) -> list[Field]:
    """Build the field for the authority of the login session with which the mandate was given; empty where the session
    states none."""
    session = session_of(mandate)
    return [(b"session", encode([detail_of(one) for one in session]))] if session else []


def answering_fields(verified: VerifiedRequest) -> list[Field]:
    """Build the field for the person who answers for an action, where that is not the principal of its mandate."""
    return _owner_fields(verified.principals[0] if len(verified.principals) > 1 else "")


def _owner_fields(owner: str) -> list[Field]:
    """Empty where the principal is a person, who answers for themselves."""
    return [(b"owner_name", encode(owner))] if owner else []
