"""Whether a workflow stands: it is registered and active, its review is not overdue, and neither it, its key nor who
owns it is revoked or held. Asked when it answers and again when the action is resumed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from answerable.core.approval.action_object import object_in
from answerable.core.approval.workflows import workflow_fault
from answerable.core.identity.principal import PrincipalId
from answerable.errors import Refused, shown
from answerable.flows.mandate_standing import is_signed_by, schedule_owner
from answerable.flows.refuse_revoked import signer_fault, signing_key_of
from answerable.flows.stand_in import agent_owners

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.registry.documents import Workflow
    from answerable.flows.walk import Walk


def standing_workflow(walk: Walk, name: str, *, key: str = "") -> Workflow:
    """The workflow, if what it says counts now. key: thumbprint of what it signs with; empty for none.

    Raises Refused (`workflow.unknown`, `workflow.review_overdue`, `workflow.owner`, `revoked.*`, `held.*`),
    Unavailable.
    """
    current = walk.registry.current
    workflow = current.workflows.get(name)
    if workflow is None:
        raise Refused(
            f"no workflow {shown(name)} is active: see `answerable registry check`", code="workflow.unknown"
        )
    today = datetime.fromtimestamp(walk.clock.now() / 1000, UTC).date().isoformat()
    if workflow.ownership.review_date < today:
        raise Refused(
            f"workflow {shown(name)} was to be reviewed by {workflow.ownership.review_date}: its owner does that first",
            code="workflow.review_overdue",
        )
    if PrincipalId(workflow.ownership.owner) not in current.principals:
        raise Refused(f"nobody active owns workflow {shown(name)}", code="workflow.owner")
    fault = signer_fault(walk, workflow.ownership.owner, key)
    if fault is not None:
        raise fault
    return workflow


def involved_people(walk: Walk, approval: Approval) -> frozenset[str]:
    """Who gave the task, answers for it, or owns an agent that it came by."""
    current = walk.registry.current
    principals = object_in(approval.shown)["principals"]
    mandate = walk.mandates.find(approval.mandate)
    application = current.applications.get(mandate.application) if mandate is not None else None
    found = {
        approval.principal,
        schedule_owner(approval.principal, current),
        *(str(one) for one in (principals if isinstance(principals, list) else ())),
        *agent_owners(walk, approval),
        *((application.ownership.owner,) if application is not None else ()),
    }
    return frozenset(found - {""})


def why_not(walk: Walk, workflow: Workflow, approval: Approval) -> Refused | None:
    """Why this workflow's yes would not count; None where it would. Raises Malformed (`approval.object`)."""
    return workflow_fault(workflow, approval, limits=walk.limits, involved=involved_people(walk, approval))


def groups_of_workflow(walk: Walk, approval: Approval, answer: Answer) -> tuple[str, ...]:
    """The groups in which a workflow's answer still counts: none once it, its key or its owner is gone or held, or it
    might not give this answer any more."""
    try:
        workflow = standing_workflow(walk, answer.workflow, key=signing_key_of(answer.token))
    except Refused:
        return ()
    same = workflow.ownership.owner == answer.by and is_signed_by(answer.token, workflow.keys)
    return workflow.groups if same and why_not(walk, workflow, approval) is None else ()
