"""Build the entries about registry documents and policy sets that changed, and about statements that intents cite,
written once."""

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
"""Documents that an entry names; all are counted."""


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
    """Build the entry of applied documents. before, after: registry digests. changes: canonical JSON of the changed
    documents that are nobody's personal data, sealed with the log's `own`. of_people: those of people, each for that
    person.

    sealing: of the person who applied them, for their name. pseudonym: of `by`. policy_set: in force until then.
    because: the reason, where a rule of ours made the change, in words that name nobody. undrilled: documents that now
    have a higher tier without the drills required for it. workflows: names of the changed workflows, by which evidence
    finds the keys of their answers. people: those whose keys the change affects, with their keys from then on.
    people_more: number of people stated in the entries after it.
    """
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
    """How policy sets came into force.

    how: `one_person` and nobody signed, `two_people`, `rollback` by one, or `registry` where no policy set changed and
    only the schema that they are checked against. author: pseudonym; empty where there is none. proposal: its id. step:
    the statement signed by the person who put them into force; the author's is in the entry of the proposal. key_file:
    the key that signed `step`.
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
    """Build the entry of a policy set that came into force. pseudonym: of `by`. before, after: digests that decisions
    name. documents: digest of the documents. declared: what they declare beside their policies. schema_digest: hex, of
    the schema that they were checked against; with it `after` is the digest of the content of this entry."""
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
    """Build the entry of a proposed change of policy sets. author: pseudonym. changes: canonical JSON of the changed
    documents. attached: the author's statement about tests and a simulation. key_file: the key that the author signed
    with."""
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
    """Build the entry of a withdrawn proposal. by: who withdrew it, as authenticated by the control API. pseudonym: of
    `by`."""
    members: dict[str, JSONValue] = {"by": pseudonym, "proposal": proposal.id}
    fields = [(b"by_name", encode(by))]
    return sealed_entry(Tag.POLICY_WITHDRAWN, at=at, members=members, fields=fields, sealing=sealing)


def cited_mandate(
    mandate: Mandate, *, at: UnixMillis, sealing: Sealing, principal: str, audience: str, owner: str = ""
) -> Entry:
    """Build the entry of a mandate that later intents cite. principal: pseudonym. owner: as in `mandate_issued`."""
    members: dict[str, JSONValue] = {"kind": "mandate", "name": mandate.id, "principal": principal}
    fields = mandate_fields(mandate, audience=audience, owner=owner)
    return sealed_entry(Tag.CITED, at=at, members=members, fields=fields, sealing=sealing)


def cited_text(kind: str, digest: str, text: bytes, *, at: UnixMillis, sealing: Sealing) -> Entry:
    """Build the entry of a policy set or tool definition that later intents cite. text: JSON. digest: hex, its name."""
    members: dict[str, JSONValue] = {"kind": kind, "name": digest}
    return sealed_entry(Tag.CITED, at=at, members=members, fields=[(b"text", text)], sealing=sealing)
