"""Build the entries of a person's answer, and of an approval that became void because the action differs from what
people were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.approval.approval import NOTHING_SHOWN
from answerable.core.approval.emergency_access import GLASS
from answerable.core.ledger.action_fields import answer_fields, in_place_members, said_members
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.records_keys import keys_members
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.leaves import Reference
    from answerable.core.ledger.runs import Run

BECAUSE_MAX: Final = 32


def approval_answer(
    approval: Approval,
    answer: Answer,
    *,
    at: UnixMillis,
    sealing: Sealing,
    run: Run,
    person: str,
    digest: str,
    signer: str,
    in_place: str = "",
    keys_ref: Reference | None = None,
    registry: str = "",
) -> Entry:
    """Build the entry of a signed answer. person, digest: pseudonyms. signer: the public JWK; empty for a passkey.
    in_place: pseudonym of the person on whose behalf a deputy answered. keys_ref: the entry that states that the key is
    theirs. registry: digest of the documents that define the answering workflow."""
    members: dict[str, JSONValue] = {
        "approval": approval.id,
        "digest": digest,
        "mandate": approval.mandate,
        "person": person,
        "state": approval.state,
        "verdict": answer.verdict,
        **in_place_members(answer, in_place),
        **keys_members(keys_ref),
        **said_members(answer, registry),
        **({"runs_until": approval.expires_at} if answer.verdict == GLASS else {}),
    }
    fields = answer_fields(answer, signer)
    if approval.proposed != NOTHING_SHOWN:
        fields.append((b"proposed", approval.proposed.bytes))
    return sealed_entry(Tag.APPROVAL_ANSWER, at=at, members=members, fields=fields, sealing=sealing, run=run)


def approval_void(
    approval: Approval,
    because: tuple[str, ...],
    *,
    at: UnixMillis,
    run: Run,
    digest: str,
) -> Entry:
    """Build the entry of an approval that can no longer be used. because: what differs from what was shown, in our own
    words, which need no sealing.

    digest: pseudonym.
    """
    members: dict[str, JSONValue] = {
        "agent": approval.agent,
        "approval": approval.id,
        "because": [*because[:BECAUSE_MAX]],
        "digest": digest,
        "mandate": approval.mandate,
    }
    return sealed_entry(Tag.APPROVAL_VOID, at=at, members=members, run=run)
