"""What entries about a mandate seal: names of people, purpose, the token itself, and its integrity anchors.

The anchors are digests of what may be personal, and short enough to be guessed: in a leaf they would tell everybody
who has a guess at the purpose that it is right. So they are fields like the others, to which the leaf commits salted.
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
    """owner: who answers for the schedule that gave it; empty where a person did."""
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
    """What the login allows that it was given by; none where the login says nothing."""
    session = session_of(mandate)
    return [(b"session", encode([detail_of(one) for one in session]))] if session else []


def answering_fields(verified: VerifiedRequest) -> list[Field]:
    """The person who answers for an action, where it is not the principal that its mandate names."""
    return _owner_fields(verified.principals[0] if len(verified.principals) > 1 else "")


def _owner_fields(owner: str) -> list[Field]:
    """None where the principal is a person, who answers for themselves."""
    return [(b"owner_name", encode(owner))] if owner else []
