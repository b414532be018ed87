"""Rebuild registry documents and policy set records from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.projected import changed_documents
from answerable.core.ledger.tags import Tag
from answerable.core.registry.policy_sets.policy_record import KEPT_MAX, KeptSets, PolicyRecord, Proposal
from answerable.core.registry.policy_sets.publication import (
    documents_digest,
    policy_documents,
    proposal_id,
    verified_step,
)
from answerable.errors.codes.policy import PUBLICATION_MALFORMED

if TYPE_CHECKING:
    from answerable.core.ledger.projected import Told

DOCUMENT_TAGS: Final = frozenset({Tag.REGISTRY_CHANGE})
POLICY_TAGS: Final = frozenset(
    {Tag.REGISTRY_CHANGE, Tag.POLICY_CHANGE, Tag.POLICY_PROPOSED, Tag.POLICY_WITHDRAWN}
)
PROPOSALS: Final = "proposal"
KEPT: Final = "kept"

Records = tuple[PolicyRecord, ...]


def documents_in_change(told: Told) -> tuple[str, ...]:
    """Return the keys of the documents that an entry changes, as far as it can be decrypted."""
    changes = (told.fields or {}).get("changes")
    return tuple(changes) if isinstance(changes, dict) else ()


def document_after(key: str, told: Told) -> bytes | None:
    """Return the document of this key after a change; None where it was removed."""
    return changed_documents({}, told.fields).get(key)


def records_of_kind(told: Told) -> tuple[str, ...]:
    """Return the kinds of policy records that an entry concerns."""
    return (KEPT,) if told.tag == Tag.REGISTRY_CHANGE else (PROPOSALS,)


def records_after(known: Records, told: Told) -> Records:
    """Return the records of one kind after an entry, in the order in which they were added.

    Raises Unverified, Malformed for an unsigned proposal.
    """
    if told.tag == Tag.REGISTRY_CHANGE:
        return _kept_after(known, told)
    if told.tag == Tag.POLICY_PROPOSED:
        return _proposed_after(known, told)
    return tuple(one for one in known if one.id != told.leaf.get("proposal"))


def _kept_after(known: Records, told: Told) -> Records:
    present = policy_documents(told.world.documents)
    if not present or present == policy_documents(changed_documents(told.world.documents, told.fields)):
        return known
    kept = kept_record(
        present, policy_set=str(told.leaf.get("policy_set") or ""), at=UnixMillis(told.whole("at"))
    )
    before = next((one for one in known if one.id == kept.id), None)
    if before is not None and not told.leaf.get("policy_set"):
        # Entries written before the ledger recorded `policy_set` do not state it.
        kept = replace_body(kept, before.body)
    return with_kept(known, kept)


def kept_record(documents: dict[str, bytes], *, policy_set: str, at: UnixMillis) -> PolicyRecord:
    """Build the record of replaced policy sets. at: until when they were in force."""
    digest = documents_digest(documents)
    sets = KeptSets(
        digest=digest,
        policy_set=policy_set,
        documents={key: text.decode() for key, text in documents.items()},
    )
    return PolicyRecord(kind="kept", id=digest, at=at, body=msgspec.json.encode(sets))


def replace_body(record: PolicyRecord, body: bytes) -> PolicyRecord:
    """Return the record with another body."""
    return msgspec.structs.replace(record, body=body)


def with_kept(known: Records, kept: PolicyRecord) -> Records:
    """Return the kept records with one more: the last KEPT_MAX."""
    return (*(one for one in known if one.id != kept.id), kept)[-KEPT_MAX:]


def _proposed_after(known: Records, told: Told) -> Records:
    token = told.text("step")
    if not token or any(one.id == told.leaf.get("proposal") for one in known):
        return known
    world, at = told.world, UnixMillis(told.whole("at"))
    signed = verified_step(token, wanted="propose", audience=told.log, current=world.registry, now=at)
    if proposal_id(token) != told.leaf.get("proposal"):
        raise PUBLICATION_MALFORMED("its token is of another proposal than its entry names")
    before = documents_digest(policy_documents(world.documents))
    wanted = policy_documents(changed_documents(world.documents, told.fields))
    proposal = Proposal(
        id=proposal_id(token),
        by=signed.by,
        key=signed.key,
        at=at,
        before=signed.before,
        after=signed.after,
        comment=signed.comment,
        token=token,
        attached=encode((told.fields or {}).get("attached")).decode(),
        documents={key: text.decode() for key, text in wanted.items()},
    )
    record = PolicyRecord(kind="proposal", id=proposal.id, at=at, body=msgspec.json.encode(proposal))
    # Proposals that change policy sets no longer in force can never be published.
    waiting = (one for one in known if msgspec.json.decode(one.body, type=Proposal).before == before)
    return (*waiting, record)
