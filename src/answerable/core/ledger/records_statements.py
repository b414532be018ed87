"""What the entries about documents and statements say: what changed, and what intents refer to, written down once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.disclosure import Section
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.mandate_fields import mandate_fields
from answerable.core.ledger.records_keys import key_file_fields, key_file_members, named_fields, named_members
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.records_keys import KeyFile, Signs
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.policy_sets.policy_record import Proposal

UNDRILLED_NAMED_MAX: Final = 200
WORKFLOWS_NAMED_MAX: Final = 32
"""Documents that an entry names; all of them are counted."""


def registry_change(
    *,
    at: UnixMillis,
    sealing: Sealing,
    by: str,
    pseudonym: str,
    before: str,
    after: str,
    own: Sealing,
    changes: bytes,
    of_people: Sequence[Section] = (),
    because: str = "",
    policy_set: str = "",
    undrilled: Sequence[str] = (),
    workflows: Sequence[str] = (),
    people: Sequence[Signs] = (),
    people_more: int = 0,
) -> Entry:
    """Documents were applied. before, after: registry digests. changes: canonical JSON of the changed documents that
    are nobody's personal data, sealed with the log's `own`. of_people: those of people, each for that person.

    sealing: of who applied them, for their name. pseudonym: of `by`. policy_set: that was in force until then. because:
    why, where a rule of ours did it, in words that name nobody. undrilled: documents that are of a higher tier now
    without the drills for it. workflows: names of those that changed, by which evidence finds the keys of their
    answers. people: whose keys it changes, with those that are theirs from then on. people_more: of whom the entries
    after it say that."""
    members: dict[str, JSONValue] = {"after": after, "before": before, "by": pseudonym}
    if because:
        members["because"] = because
    if policy_set:
        members["policy_set"] = policy_set
    if undrilled:
        members["undrilled"] = [*undrilled[:UNDRILLED_NAMED_MAX]]
        members["undrilled_count"] = len(undrilled)
    if workflows:
        members["workflows"] = [*workflows[:WORKFLOWS_NAMED_MAX]]
    members |= named_members(people, more=people_more)
    applied = Section([(b"by_name", encode(by)), *named_fields(people)], sealing)
    fields = [(b"changes", changes)]
    return sealed_entry(
        Tag.REGISTRY_CHANGE,
        at=at,
        members=members,
        fields=fields,
        sealing=own,
        others=[applied],
        inner=of_people,
    )


class Published(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """By whom policy sets come into force.

    how: `one_person` and nobody signed, `two_people`, `rollback` by one, or `registry` where no policy set changed and
    only what they are checked against. author: pseudonym; empty where there is none. proposal: its id. step: what
    the one who put them into force signed; what the author signed stands in the entry of the proposal. key_file:
    what `step` is signed with.
    """

    how: str
    author: str = ""
    proposal: str = ""
    step: str = ""
    key_file: KeyFile | None = None


def policy_change(
    *,
    at: UnixMillis,
    sealing: Sealing,
    by: str,
    pseudonym: str,
    before: str,
    after: str,
    policies: str,
    documents: str,
    declared: JSONValue,
    schema_digest: str,
    published: Published,
) -> Entry:
    """A policy set came into force. pseudonym: of `by`. before, after: digests that decisions name. documents: digest
    of the documents. declared: what they declare beside their policies. schema_digest: hex, of the schema that they
    were checked against; with it `after` is the digest of what is written here."""
    members: dict[str, JSONValue] = {
        "after": after,
        "before": before,
        "by": pseudonym,
        "documents": documents,
        "how": published.how,
    }
    if published.proposal:
        members |= {"author": published.author, "proposal": published.proposal}
    members |= key_file_members(published.key_file)
    fields = [(b"by_name", encode(by)), (b"declared", encode(declared)), (b"policies", encode(policies))]
    fields.append((b"schema_digest", encode(schema_digest)))
    if published.step:
        fields += [(b"step", encode(published.step)), *key_file_fields(published.key_file)]
    return sealed_entry(Tag.POLICY_CHANGE, at=at, members=members, fields=fields, sealing=sealing)


def policy_proposed(
    proposal: Proposal,
    *,
    sealing: Sealing,
    author: str,
    changes: bytes,
    attached: bytes,
    key_file: KeyFile | None = None,
) -> Entry:
    """A change of policy sets was proposed. author: pseudonym. changes: canonical JSON of the changed documents.
    attached: what the author says of their tests and of a simulation. key_file: what the author signed with."""
    members: dict[str, JSONValue] = {
        "after": proposal.after,
        "author": author,
        "before": proposal.before,
        "proposal": proposal.id,
        **key_file_members(key_file),
    }
    fields = [
        (b"attached", attached),
        (b"author_name", encode(proposal.by)),
        (b"changes", changes),
        (b"step", encode(proposal.token)),
        *key_file_fields(key_file),
    ]
    at = UnixMillis(proposal.at)
    return sealed_entry(Tag.POLICY_PROPOSED, at=at, members=members, fields=fields, sealing=sealing)


def policy_withdrawn(
    proposal: Proposal, *, at: UnixMillis, sealing: Sealing, by: str, pseudonym: str
) -> Entry:
    """A proposal was taken back. by: who did, as the control door knows them. pseudonym: of `by`."""
    members: dict[str, JSONValue] = {"by": pseudonym, "proposal": proposal.id}
    fields = [(b"by_name", encode(by))]
    return sealed_entry(Tag.POLICY_WITHDRAWN, at=at, members=members, fields=fields, sealing=sealing)


def cited_mandate(
    mandate: Mandate, *, at: UnixMillis, sealing: Sealing, principal: str, audience: str, owner: str = ""
) -> Entry:
    """The mandate that intents after this entry refer to. principal: pseudonym. owner: as in `mandate_issued`."""
    members: dict[str, JSONValue] = {"kind": "mandate", "name": mandate.id, "principal": principal}
    fields = mandate_fields(mandate, audience=audience, owner=owner)
    return sealed_entry(Tag.CITED, at=at, members=members, fields=fields, sealing=sealing)


def cited_text(kind: str, digest: str, text: bytes, *, at: UnixMillis, sealing: Sealing) -> Entry:
    """A policy set or tool definition that intents after this entry refer to. text: JSON. digest: hex, its name."""
    members: dict[str, JSONValue] = {"kind": kind, "name": digest}
    return sealed_entry(Tag.CITED, at=at, members=members, fields=[(b"text", text)], sealing=sealing)
