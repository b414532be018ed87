"""Decide whether a workflow may answer an approval: by tier, its document, and its owners.

Laws: a workflow answers only for its own groups that were asked, and for capabilities and tiers that its document and
the settings both allow; its owner has no part in what it answers, neither as giver of the task nor as owner of an agent
in it. Its answer counts as its owner's: both together are one person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from answerable.core.approval.assurance_level import tier_shown
from answerable.errors import Refused, shown
from answerable.errors.codes.people import (
    WORKFLOW_CAPABILITY,
    WORKFLOW_INVOLVED,
    WORKFLOW_NOT_ASKED,
    WORKFLOW_TIER,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from answerable.core.approval.approval import Approval
    from answerable.core.registry.documents.documents import Workflow

Allowed = Literal["allowed", "refused"]
ALLOWED: Final[tuple[Allowed, ...]] = get_args(Allowed)
NO_HIGH_TIERS: Final[tuple[Allowed, ...]] = ("allowed", "allowed", "refused", "refused")


class HasWorkflows(Protocol):
    """Settings that permit workflows by tier. workflows: what each tier allows, from tier 0."""

    @property
    def workflows(self) -> tuple[Allowed, ...]:
        """See the class."""
        ...


def is_asked(workflow: Workflow, approval: Approval) -> bool:
    """Whether an approval asks a group of this workflow about a capability of its document."""
    asked = {group for one in approval.requirements for group in one.groups}
    return bool(asked & set(workflow.groups)) and approval.capability in workflow.capabilities


def workflow_fault(
    workflow: Workflow, approval: Approval, *, limits: HasWorkflows, involved: Collection[str]
) -> Refused | None:
    """Return why this workflow's approval would not count; None where it would. involved: people who gave the task,
    answer for it, or own an agent of its chain.

    Codes: `workflow.tier`, `workflow.capability`, `workflow.not_asked`, `workflow.involved`.
    """
    tier = tier_shown(approval)
    if limits.workflows[tier] != "allowed":
        return WORKFLOW_TIER(
            f"actions of tier {tier} are answered by people only, by setting `walk.workflows`"
        )
    if tier > workflow.tier_max:
        return WORKFLOW_TIER(
            f"workflow {shown(workflow.name)} answers up to tier {workflow.tier_max}, and this action "
            f"has tier {tier}"
        )
    if approval.capability not in workflow.capabilities:
        return WORKFLOW_CAPABILITY(
            f"workflow {shown(workflow.name)} may not answer for capability {shown(approval.capability)}"
        )
    if not is_asked(workflow, approval):
        return WORKFLOW_NOT_ASKED(
            f"this approval needs no group that workflow {shown(workflow.name)} answers for"
        )
    ownership = workflow.ownership
    behind = {ownership.owner, ownership.backup_owner} & set(involved)
    if behind:
        return WORKFLOW_INVOLVED(
            f"{', '.join(sorted(behind))} owns workflow {shown(workflow.name)} and is involved in "
            "this action: somebody else must approve it"
        )
    return None
