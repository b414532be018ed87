"""Publish policy sets with two people: one proposes, another publishes. One signature rolls back to earlier sets."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.canonical import Limits, encode, parse
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.records_statements import Published, policy_proposed, policy_withdrawn
from answerable.core.ledger.subject import operator_subject, principal_subject
from answerable.core.registry.parsing.parse import document_key
from answerable.core.registry.policy_sets.policy_record import PolicyRecord, Proposal
from answerable.core.registry.policy_sets.publication import (
    documents_digest,
    own_fault,
    policy_documents,
    proposal_id,
    publisher_fault,
    verified_step,
)
from answerable.errors import shown
from answerable.errors.codes.policy import (
    PUBLICATION_CHANGED,
    PUBLICATION_MALFORMED,
    PUBLICATION_NOTHING,
    PUBLICATION_OTHER,
    PUBLICATION_SUPERSEDED,
    PUBLICATION_TOO_MANY,
    PUBLICATION_UNKNOWN,
)
from answerable.flows.recording.name_keys import key_file
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.registry.apply_registry import planned_aside, put_into_force, require_protection
from answerable.flows.registry.keep_policies import kept_set, records_of
from answerable.flows.validity.refuse_revoked import signer_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.records_keys import KeyFile
    from answerable.core.registry.policy_sets.publication import PublicationStep, SignedStep
    from answerable.flows.registry.record_change import Applied, RegistryChange
    from answerable.flows.state.drill_desk import Applying, DrillState
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, InProgress, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.registry_store import RegistryStore

PENDING_MAX: Final = 50
"""Proposals that may wait at a time."""
ATTACHED_LIMITS: Final = Limits(size_bytes_max=262_144, depth_max=8)


async def propose_policy(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    applying: Applying,
    token: str,
    documents: Sequence[JSONValue],
    *,
    removed: Sequence[str] = (),
    attached: str = "",
) -> Proposal:
    """Record a signed proposal. `documents`: new or changed policy sets. `removed`: names of sets to remove.

    attached: JSON text of an object, with any members.

    Raises as `verified_step`; Malformed (`registry.faults`, `policy.*`, `publication.malformed`) for sets that could
    not come into force; Refused (`publication.changed`, `publication.nothing`, `publication.too_many`, `revoked.*`,
    `held.*`); Unavailable.
    """
    records = records_of(applying.policies)
    async with asking.under_way.applying:
        signed, signed_with = await _verified(recorder, authority, asking.under_way, token, "propose")
        if signed.attached != (sha256(attached.encode()).hexdigest() if attached else ""):
            raise PUBLICATION_MALFORMED("the attachment is not the one that was signed")
        given = parse(attached.encode(), limits=ATTACHED_LIMITS) if attached else {}
        if not isinstance(given, dict):
            raise PUBLICATION_MALFORMED("the attachment is no JSON object")
        said = encode(given)
        plan = await _planned(
            authority.registry,
            applying.policies,
            applying.drills,
            asking.limits,
            recorder.clock,
            documents,
            removed,
        )
        require_protection(plan.applied)
        proposal = _proposal(authority.registry, recorder.clock, signed, plan, attached=said)
        _forget_stale(authority.registry, applying.policies)
        waiting = records.all("proposal")
        if any(one.id == proposal.id for one in waiting):
            return proposal
        if len(waiting) >= PENDING_MAX:
            raise PUBLICATION_TOO_MANY(
                f"{len(waiting)} proposals are pending, which is the limit: publish or withdraw one first"
            )
        # 1. Ledger first. After a crash here the proposal waits from the next start on.
        changes: dict[str, JSONValue] = {
            change.key: parse(plan.documents[change.key]) if change.key in plan.documents else None
            for change in plan.applied.changes
        }
        author = PrincipalId(proposal.by)
        entry = policy_proposed(
            proposal,
            sealing=sealing_for(recorder, principal_subject(author)),
            author=pseudonym_of(recorder, author),
            changes=encode(changes),
            attached=said,
            key_file=signed_with,
        )
        _, left = await record_entry(recorder, entry)
        # 2. The proposal waits.
        body = msgspec.json.encode(proposal)
        records.put(PolicyRecord(kind="proposal", id=proposal.id, at=proposal.at, body=body))
    if left is not None:
        raise left
    return proposal


async def publish_policy(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    applying: Applying,
    name: str,
    token: str,
) -> Applied:
    """Put a proposal into force on another person's signature.

    Raises as `verified_step`; Unverified (`publication.other`) for a signature to something else; Refused
    (`publication.unknown`, `publication.group`, `publication.own`, `publication.superseded`); Unavailable.
    """
    records = records_of(applying.policies)
    async with asking.under_way.applying:
        proposal = found_proposal(applying.policies, name)
        signed, signed_with = await _verified(recorder, authority, asking.under_way, token, "publish")
        if (unsigned := signer_fault(authority, proposal.by, proposal.key)) is not None:
            raise unsigned
        _require_same(signed, before=proposal.before, after=proposal.after, proposal=proposal.id)
        current = authority.registry.current
        fault = publisher_fault(signed, group=applying.policies.publishers, current=current) or own_fault(
            signed, author=PrincipalId(proposal.by), key=proposal.key, current=current
        )
        if fault is not None:
            raise fault
        plan = await _planned_whole(
            authority.registry,
            applying.policies,
            applying.drills,
            asking.limits,
            recorder.clock,
            proposal.documents,
            before=proposal.before,
        )
        # Names that the policies use may have been removed since the proposal.
        require_protection(plan.applied)
        published = Published(
            how="two_people",
            author=pseudonym_of(recorder, proposal.by),
            proposal=proposal.id,
            step=signed.token,
            key_file=signed_with,
        )
        applied = await put_into_force(
            recorder, authority, asking, applying, plan, by=signed.by, published=published
        )
        # After a crash before this line the proposal changes sets no longer in force, and is removed as stale.
        records.remove("proposal", proposal.id)
    return applied


async def rollback_policy(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    applying: Applying,
    name: str,
    token: str,
) -> Applied:
    """Put earlier policy sets into force again, on one signature.

    `name`: as `kept_set` takes it. Raises as `verified_step` and `kept_set`; Unverified (`publication.other`); Refused
    (`publication.group`); Unavailable.
    """
    async with asking.under_way.applying:
        kept = kept_set(authority.registry, applying.policies, name)
        signed, signed_with = await _verified(recorder, authority, asking.under_way, token, "rollback")
        before = documents_digest(policy_documents(authority.registry.documents()))
        _require_same(signed, before=before, after=kept.digest, proposal="")
        fault = publisher_fault(
            signed, group=applying.policies.publishers, current=authority.registry.current
        )
        if fault is not None:
            raise fault
        plan = await _planned_whole(
            authority.registry,
            applying.policies,
            applying.drills,
            asking.limits,
            recorder.clock,
            kept.documents,
            before=before,
        )
        published = Published(how="rollback", step=signed.token, key_file=signed_with)
        return await put_into_force(
            recorder, authority, asking, applying, plan, by=signed.by, published=published
        )


async def withdraw_proposal(
    recorder: Recorder, under_way: InProgress, policies: PolicyState, name: str, *, by: str
) -> Proposal:
    """Withdraw a proposal; the ledger keeps its entry. `by`: the operator, as the control endpoint knows them.

    Raises Refused (`publication.unknown`), Unavailable.
    """
    async with under_way.applying:
        proposal = found_proposal(policies, name)
        # 1. Ledger first. After a crash here the next start removes the proposal.
        sealing, pseudonym = sealing_for(recorder, operator_subject(by)), pseudonym_of(recorder, by)
        entry = policy_withdrawn(
            proposal, at=recorder.clock.now(), sealing=sealing, by=by, pseudonym=pseudonym
        )
        _, left = await record_entry(recorder, entry)
        # 2. The proposal no longer waits.
        records_of(policies).remove("proposal", proposal.id)
    if left is not None:
        raise left
    return proposal


def found_proposal(policies: PolicyState, name: str) -> Proposal:
    """Return the proposal of this id. Raises Refused (`publication.unknown`), Unavailable."""
    record = records_of(policies).find("proposal", name)
    if record is None:
        raise PUBLICATION_UNKNOWN(f"no proposal {shown(name)} is pending: see `answerable policy proposals`")
    return msgspec.json.decode(record.body, type=Proposal)


def waiting_proposals(policies: PolicyState) -> tuple[Proposal, ...]:
    """Return every proposal, newest first. Raises Unavailable."""
    return tuple(msgspec.json.decode(one.body, type=Proposal) for one in records_of(policies).all("proposal"))


async def planned_sets(
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    documents: Sequence[JSONValue],
    removed: Sequence[str],
    *,
    same: bool = False,
) -> RegistryChange:
    """Check and compile these policy sets; return what they would change. `same`: they may already be in force.

    Raises as `propose_policy`.
    """
    return await _planned(registry, policies, drills, limits, clock, documents, removed, same=same)


async def _verified(
    recorder: Recorder,
    authority: AuthorityRegisters,
    under_way: InProgress,
    token: str,
    wanted: PublicationStep,
) -> tuple[SignedStep, KeyFile]:
    """Return the verified step and the key file it was signed with; the key is on record on return."""
    signed = verified_step(
        token,
        wanted=wanted,
        audience=recorder.ledger.origin,
        current=authority.registry.current,
        now=recorder.clock.now(),
    )
    signed_with = await key_file(
        recorder, authority.registry, under_way, signed.by, signed.key, applying=True
    )
    if (unsigned := signer_fault(authority, signed.by, signed.key)) is not None:
        raise unsigned
    return signed, signed_with


async def _planned(
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    documents: Sequence[JSONValue],
    removed: Sequence[str],
    *,
    same: bool = False,
) -> RegistryChange:
    for document in documents:
        if not isinstance(document, dict) or document.get("kind") != "PolicySet":
            raise PUBLICATION_MALFORMED(
                "a proposal may contain only documents of kind `PolicySet`: use `answerable "
                "apply` for the others"
            )
    keys = {f"PolicySet/{name}" for name in removed}
    missing = keys - registry.documents().keys()
    if missing:
        raise PUBLICATION_UNKNOWN(f"there is no {shown(sorted(missing)[0])} to remove")
    both = keys & {document_key(one) for one in documents if isinstance(one, dict) and "metadata" in one}
    if both:
        raise PUBLICATION_MALFORMED(f"{shown(sorted(both)[0])} is both given and removed")
    plan = await planned_aside(registry, policies, drills, limits, clock, documents, without=keys)
    if not plan.applied.changes and not same:
        raise PUBLICATION_NOTHING()
    return plan


async def _planned_whole(
    registry: RegistryStore,
    policies: PolicyState,
    drills: DrillState,
    limits: WalkLimits,
    clock: Clock,
    documents: dict[str, str],
    *,
    before: str,
) -> RegistryChange:
    """Plan these as all the policy sets. Raises Refused (`publication.superseded`) unless the sets in force have digest
    `before`."""
    present = policy_documents(registry.documents())
    if documents_digest(present) != before:
        raise PUBLICATION_SUPERSEDED()
    given = [parse(text.encode()) for text in documents.values()]
    return await planned_aside(
        registry, policies, drills, limits, clock, given, without=present.keys() - documents.keys()
    )


def _proposal(
    registry: RegistryStore, clock: Clock, signed: SignedStep, plan: RegistryChange, *, attached: bytes
) -> Proposal:
    before = documents_digest(policy_documents(registry.documents()))
    wanted = policy_documents(plan.documents)
    after = documents_digest(wanted)
    if signed.before != before:
        raise PUBLICATION_CHANGED()
    _require_same(signed, before=before, after=after, proposal="")
    return Proposal(
        id=proposal_id(signed.token),
        by=signed.by,
        key=signed.key,
        at=clock.now(),
        before=before,
        after=after,
        comment=signed.comment,
        token=signed.token,
        attached=attached.decode(),
        documents={key: text.decode() for key, text in wanted.items()},
    )


def _require_same(signed: SignedStep, *, before: str, after: str, proposal: str) -> None:
    if (signed.before, signed.after, signed.proposal) != (before, after, proposal):
        raise PUBLICATION_OTHER(
            "the signature is for another change than this one: read the change again and sign it anew"
        )


def _forget_stale(registry: RegistryStore, policies: PolicyState) -> None:
    """Remove proposals based on sets that are no longer in force: they can never be published."""
    before = documents_digest(policy_documents(registry.documents()))
    for proposal in waiting_proposals(policies):
        if proposal.before != before:
            records_of(policies).remove("proposal", proposal.id)
