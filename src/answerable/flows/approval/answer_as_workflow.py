"""Verify and record a workflow's answer to a deferred action, signed with the workflow's key over the same hashes that
people sign.

The answer counts as its owner's: the ledger names both, and together they count once. `core.approval.workflows` decides
which workflows may say yes. `attest_workflow` has just measured that the calling process is the workflow.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from answerable.core.approval.approval import Answer
from answerable.core.approval.emergency_access import GLASS
from answerable.core.approval.token import verify_answer
from answerable.core.approval.workflows import is_asked
from answerable.core.identity.names.principal import PrincipalId, workflow_id
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_UNKNOWN, BREAK_GLASS_NOT_ALLOWED
from answerable.flows.approval.answer_approval import one_at_a_time
from answerable.flows.approval.open_approval import open_to_answer, take_nonce
from answerable.flows.validity.refuse_revoked import signing_key_of
from answerable.flows.validity.workflow_validity import counted_already, standing_workflow, why_not

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.registry.documents.documents import Workflow
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.challenge_register import OpeningRegister
    from answerable.ports.entropy import Entropy
    from answerable.ports.ledger import Ledger


def waiting_for_workflow(
    authority: AuthorityRegisters, limits: WalkLimits, workflow: Workflow
) -> list[Approval]:
    """Return the pending approvals that this workflow could say yes to, and no others; oldest first."""
    now = authority.clock.now()
    pending = authority.approvals.all(pending_only=True, now=now)
    behind = frozenset({workflow.ownership.owner, workflow.ownership.backup_owner} - {""})
    found = [
        one
        for one in pending
        if is_asked(workflow, one)
        and all(earlier.workflow != workflow.name for earlier in one.answers)
        and why_not(authority, limits, workflow, one) is None
        and counted_already(authority.registry, one, behind, by_workflow=True) is None
    ]
    return found[::-1]


def open_to_workflow(
    ledger: Ledger,
    authority: AuthorityRegisters,
    openings: OpeningRegister,
    limits: WalkLimits,
    entropy: Entropy,
    workflow: Workflow,
    approval_id: str,
) -> tuple[bytes, Approval, UnixMillis]:
    """Open an approval as `open_to_answer` does. An approval that this workflow is not asked about is unknown to it.
    Raises Refused (`approval.*`)."""
    found = next(
        (one for one in waiting_for_workflow(authority, limits, workflow) if one.id == approval_id), None
    )
    if found is None:
        raise APPROVAL_UNKNOWN(
            f"no approval {shown(approval_id)} is pending for workflow {shown(workflow.name)}"
        )
    return open_to_answer(ledger, authority, openings, entropy, approval_id, to=workflow_id(workflow.name))


async def answer_as_workflow(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    workflow: str,
    approval_id: str,
    token: str,
) -> Approval:
    """Verify and record the answer of a workflow. Return the approval after the answer.

    workflow: the name that the calling process was measured to be. Raises as `answer_approval`, and Refused
    (`workflow.*`).
    """
    return await one_at_a_time(
        recorder,
        authority,
        asking,
        counters,
        approval_id,
        partial(
            _read, recorder.ledger, authority, asking.openings, asking.limits, name=workflow, token=token
        ),
    )


def _read(
    ledger: Ledger,
    authority: AuthorityRegisters,
    openings: OpeningRegister,
    limits: WalkLimits,
    approval: Approval,
    now: UnixMillis,
    *,
    name: str,
    token: str,
) -> tuple[Answer, str, str]:
    workflow = standing_workflow(authority, name)
    own = workflow_id(name)
    signed = verify_answer(
        token,
        approval=approval,
        audience=ledger.origin,
        keys_of=lambda issuer: workflow.keys if issuer == own else (),
        now=now,
    )
    take_nonce(openings, approval.id, signed.nonce, now, by=own)
    if signed.verdict == GLASS:
        raise BREAK_GLASS_NOT_ALLOWED("a workflow may not use break-glass: only a person may")
    thumbprint = signing_key_of(token)
    standing_workflow(authority, name, key=thumbprint)
    fault = why_not(authority, limits, workflow, approval)
    if fault is not None:
        raise fault
    answer = Answer(
        by=PrincipalId(workflow.ownership.owner),
        groups=workflow.groups,
        verdict=signed.verdict,
        comment=signed.words.comment,
        reason=signed.words.reason,
        narrower=signed.words.narrower,
        at=now,
        token=token,
        workflow=name,
    )
    signer = next(one.jwk for one in workflow.keys if one.thumbprint == thumbprint)
    return answer, thumbprint, signer
