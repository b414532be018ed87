"""Build the entry of the review of an emergency access. Names, texts and the signature are sealed fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.records_keys import keys_members
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval, Review
    from answerable.core.approval.assurance_level import AssuranceLevel
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.leaves import Reference


BY_PASSKEY: Final = ("passkey", "hardware")


def glass_reviewed(
    approval: Approval,
    review: Review,
    *,
    at: UnixMillis,
    sealing: Sealing,
    person: str,
    signer: str,
    late: bool,
    keys_ref: Reference | None = None,
    asks: AssuranceLevel = "any",
) -> Entry:
    """Build the entry of another person's signed review. person: their pseudonym. signer: their public JWK; empty for a
    passkey. keys_ref: the entry that states that the key is theirs. asks: the signature strength that the tier
    required."""
    members: dict[str, JSONValue] = {
        "approval": approval.id,
        "late": late,
        "mandate": approval.mandate,
        "person": person,
        "verdict": review.verdict,
        **keys_members(keys_ref),
        **({"asks": asks} if asks in BY_PASSKEY else {}),
    }
    fields = [
        (b"comment", encode(review.comment)),
        (b"person_name", encode(review.by)),
        *([(b"signer", encode(signer))] if signer else []),
        (b"token", encode(review.token)),
    ]
    return sealed_entry(Tag.GLASS_REVIEWED, at=at, members=members, fields=fields, sealing=sealing)
