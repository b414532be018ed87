"""Record a change of registry documents, and of policy sets with them, before it takes effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from answerable.core.containment.drill import document_of
from answerable.core.ledger import records_statements
from answerable.core.ledger.subject import LOG_SUBJECT, operator_subject, principal_subject
from answerable.core.registry.documents.documents import WORKFLOW
from answerable.core.registry.documents.parts_form import form_of_parts
from answerable.core.registry.parsing.active import Inactive
from answerable.core.registry.policy_sets.policy_statement import read_statement
from answerable.core.registry.policy_sets.publication import documents_digest, policy_documents
from answerable.flows.recording.name_keys import first_named, name_changed, signers_changed
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.registry.seal_documents import changes_of_people, changes_of_things

if TYPE_CHECKING:
    from answerable.core.containment.drill import Undrilled
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.records_statements import Published
    from answerable.core.registry.policy_sets.policy_fault import SetFault
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.registry_store import RegistryStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of one document. `key`: `kind/name`."""

    key: str
    how: Literal["added", "changed", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What changed, or would change.

    `before`, `after`: registry digests. `inactive`: documents that are registered but not in force. `undrilled`:
    documents raised to a higher tier without the drills for it, if the settings allow that. `void`: policies, in any
    set, that do not do what their authors mean.
    """

    changes: tuple[Change, ...]
    inactive: tuple[Inactive, ...]
    before: str
    after: str
    undrilled: tuple[Undrilled, ...] = ()
    void: tuple[SetFault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryChange:
    """A change that is checked as a whole and compiled, ready to put into force."""

    applied: Applied
    documents: dict[str, bytes]
    snapshot: RegistrySnapshot
    policies: str
    decision_point: DecisionPoint


async def record_change(
    recorder: Recorder,
    registry: RegistryStore,
    policies: PolicyState,
    plan: RegistryChange,
    *,
    by: str,
    because: str,
    published: Published,
    now: UnixMillis,
) -> BaseException | None:
    """Record the change in the ledger. Return the cancellation if the caller left."""
    people = await signers_changed(recorder, registry, plan.snapshot)
    subject = principal_subject(by) if published.step else operator_subject(by)
    sealing, pseudonym = sealing_for(recorder, subject), pseudonym_of(recorder, by)
    changed = {one.key: plan.documents.get(one.key) for one in plan.applied.changes}
    first = first_named(people, others=len(plan.applied.undrilled))
    entry = records_statements.registry_change(
        at=now,
        sealing=sealing,
        by=by,
        pseudonym=pseudonym,
        before=plan.applied.before,
        after=plan.applied.after,
        own=sealing_for(recorder, LOG_SUBJECT),
        changes=changes_of_things(changed),
        of_people=await changes_of_people(recorder, changed),
        because=because,
        policy_set=policies.decision_point.policy_set,
        workflows=[name.removeprefix(WORKFLOW) for name in sorted(changed) if name.startswith(WORKFLOW)],
        undrilled=[document_of(one.what) for one in plan.applied.undrilled],
        people=first,
        people_more=len(people) - len(first),
    )
    receipt, left = await record_entry(recorder, entry)
    named = await name_changed(
        recorder, people, len(first), receipt, at=now, sealing=sealing, registry=plan.applied.after
    )
    left = left or named
    if plan.decision_point.policy_set != policies.decision_point.policy_set:
        entry = records_statements.policy_change(
            at=now,
            sealing=sealing,
            by=by,
            pseudonym=pseudonym,
            before=policies.decision_point.policy_set,
            after=plan.decision_point.policy_set,
            policies=plan.policies,
            documents=documents_digest(policy_documents(plan.documents)),
            declared=form_of_parts(plan.snapshot.parts),
            schema_digest=read_statement(plan.decision_point.policy_statement).schema_digest,
            published=published,
        )
        _, left_later = await record_entry(recorder, entry)
        return left or left_later
    return left
