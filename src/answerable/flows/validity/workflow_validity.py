"""Check whether a workflow is valid: registered, active, reviewed in time, and neither it, its key nor its owner
revoked or held. Checked when it answers and again when the action is resumed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from answerable.core.approval.action_object import object_in
from answerable.core.approval.workflows import workflow_fault
from answerable.core.identity.names.principal import PrincipalId
from answerable.errors import Refused, shown
from answerable.errors.codes.approval import APPROVAL_ANSWERED_ALREADY
from answerable.errors.codes.people import WORKFLOW_OWNER, WORKFLOW_REVIEW_OVERDUE, WORKFLOW_UNKNOWN
from answerable.flows.validity.deputy_validity import agent_owners
from answerable.flows.validity.mandate_validity import is_signed_by, schedule_owner
from answerable.flows.validity.refuse_revoked import signer_fault, signing_key_of

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.registry.documents.documents import Workflow
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.registry_store import RegistryStore


def standing_workflow(authority: AuthorityRegisters, name: str, *, key: str = "") -> Workflow:
    """Return the workflow if its answers are valid now. `key`: thumbprint of its signing key; empty for none.

    Raises Refused (`workflow.unknown`, `workflow.review_overdue`, `workflow.owner`, `revoked.*`, `held.*`),
    Unavailable.
    """
    current = authority.registry.current
    workflow = current.workflows.get(name)
    if workflow is None:
        raise WORKFLOW_UNKNOWN(f"no workflow {shown(name)} is active: see `answerable registry check`")
    today = datetime.fromtimestamp(authority.clock.now() / 1000, UTC).date().isoformat()
    if workflow.ownership.review_date < today:
        raise WORKFLOW_REVIEW_OVERDUE(
            f"the review of workflow {shown(name)} was due on {workflow.ownership.review_date}: have "
            "its owner review it"
        )
    if PrincipalId(workflow.ownership.owner) not in current.principals:
        raise WORKFLOW_OWNER(f"workflow {shown(name)} has no active owner")
    fault = signer_fault(authority, workflow.ownership.owner, key)
    if fault is not None:
        raise fault
    return workflow


def involved_people(authority: AuthorityRegisters, limits: WalkLimits, approval: Approval) -> frozenset[str]:
    """Return the people who gave the task, answer for it, or own an agent in its chain."""
    current = authority.registry.current
    principals = object_in(approval.shown)["principals"]
    mandate = authority.mandates.find(approval.mandate)
    application = current.applications.get(mandate.application) if mandate is not None else None
    found = {
        approval.principal,
        schedule_owner(approval.principal, current),
        *(str(one) for one in (principals if isinstance(principals, list) else ())),
        *agent_owners(authority, limits, approval),
        *((application.ownership.owner,) if application is not None else ()),
    }
    return frozenset(found - {""})


def why_not(
    authority: AuthorityRegisters, limits: WalkLimits, workflow: Workflow, approval: Approval
) -> Refused | None:
    """Return why this workflow's approval would be invalid; None if valid. Raises Malformed (`approval.object`)."""
    return workflow_fault(
        workflow, approval, limits=limits, involved=involved_people(authority, limits, approval)
    )


def people_behind(registry: RegistryStore, answer: Answer) -> frozenset[str]:
    """Return the people behind an answer: a deputy and the person they stand in for, or a workflow's current owners."""
    place, workflow = answer.in_place_of, registry.current.workflows.get(answer.workflow)
    of = place.of if place is not None else ""
    backup = workflow.ownership.backup_owner if workflow is not None else ""
    return frozenset({str(answer.by), str(of), backup} - {""})


def counted_already(
    registry: RegistryStore,
    approval: Approval,
    behind: frozenset[str],
    *,
    by_workflow: bool,
    but: Answer | None = None,
) -> Answer | None:
    """Return an earlier approval by the same people if it or the new one is a workflow's; otherwise None.

    `behind`: the people behind the new answer, as `people_behind` returns them. `but`: the new answer, if already
    stored.
    """
    yes = (one for one in approval.answers if one.verdict == "approve" and one != but)
    return next(
        (
            one
            for one in yes
            if (by_workflow or one.workflow) and not behind.isdisjoint(people_behind(registry, one))
        ),
        None,
    )


def check_counts_once(registry: RegistryStore, approval: Approval, answer: Answer) -> None:
    """Check that an approval is not a second one of the same people, by their workflow or in person.

    Raises Refused (`approval.answered_already`).
    """
    behind, by_workflow = people_behind(registry, answer), bool(answer.workflow)
    if answer.verdict != "approve":
        return
    earlier = counted_already(registry, approval, behind, by_workflow=by_workflow)
    if earlier is not None:
        name = shown(answer.workflow or earlier.workflow)
        raise APPROVAL_ANSWERED_ALREADY(
            f"workflow {name}, its owners and their deputies count as one, and one of them has "
            "already answered"
        )


def groups_of_workflow(
    authority: AuthorityRegisters, limits: WalkLimits, approval: Approval, answer: Answer
) -> tuple[str, ...]:
    """Return the groups in which a workflow's answer is still valid. None once the workflow, its key or its owner is
    removed or held, it may no longer give this answer, or one of its current owners has approved as well."""
    try:
        workflow = standing_workflow(authority, answer.workflow, key=signing_key_of(answer.token))
    except Refused:
        return ()
    same = workflow.ownership.owner == answer.by and is_signed_by(answer.token, workflow.keys)
    if (
        counted_already(
            authority.registry,
            approval,
            people_behind(authority.registry, answer),
            by_workflow=True,
            but=answer,
        )
        is not None
    ):
        return ()
    return workflow.groups if same and why_not(authority, limits, workflow, approval) is None else ()
