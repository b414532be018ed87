"""Build the entry that reveals an approval as a test: the opening of its commitment, and how the test ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.ledger.action_fields import answer_fields, said_members
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.records_keys import keys_members
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.approval.attention_check import AttentionCheck
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.leaves import Reference


def canary_told(
    approval: Approval,
    canary: AttentionCheck,
    *,
    at: UnixMillis,
    answer: Answer | None,
    sealing: Sealing | None,
    person: str,
    signer: str,
    keys_ref: Reference | None = None,
    registry: str = "",
) -> Entry:
    """Build the entry of a revealed test. canary: as it ended. answer: the answer that ended it, if any, sealed for the
    person who gave it. person: their pseudonym. signer: their public JWK, empty for a passkey. keys_ref: the entry that
    states that the key is theirs. registry: digest of the documents that define the answering workflow."""
    members: dict[str, JSONValue] = {
        "agent": approval.agent,
        "approval": approval.id,
        "argument": canary.argument,
        "capability": approval.capability,
        "ended": canary.ended,
        "mandate": approval.mandate,
        "nonce": canary.nonce.hex(),
        "wrong": canary.wrong,
        **({"person": person, "verdict": answer.verdict} if answer is not None else {}),
        **(said_members(answer, registry) if answer is not None else {}),
        **keys_members(keys_ref),
    }
    fields: list[Field] = answer_fields(answer, signer) if answer is not None else []
    return sealed_entry(Tag.CANARY_TOLD, at=at, members=members, fields=fields, sealing=sealing)
