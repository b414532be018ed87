"""Operations of the control API on the subject `policy`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.members import Page, Token
from answerable.api.policy_answers import (
    EarlierSet,
    KeptSet,
    Policies,
    PolicyApplied,
    PolicyPlan,
    PolicyProposal,
    PolicySets,
    ProposalRequest,
    RollbackRequest,
    ShownProposal,
)
from answerable.client.transport import READ_SECONDS_MAX, WAIT_SECONDS_MAX, Transport, items_of, segment


def show_policies(control: Transport, *, seconds_max: float = READ_SECONDS_MAX) -> Policies:
    """Which policy sets are in force, and who may change them."""
    return control.answer_as(Policies, "GET", "/v1/policy", seconds_max=seconds_max)


def plan_policies(
    control: Transport, body: PolicySets, *, seconds_max: float = WAIT_SECONDS_MAX
) -> PolicyPlan:
    """What policy sets would change; changes nothing."""
    return control.answer_as(PolicyPlan, "POST", "/v1/policy/plan", body=body, seconds_max=seconds_max)


def list_proposals(control: Transport) -> Iterator[PolicyProposal]:
    """Proposals that wait for their second person, newest first."""
    return items_of(control, Page[PolicyProposal], "/v1/policy/proposals")


def propose_policy(
    control: Transport, body: ProposalRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> PolicyProposal:
    """Record a signed proposal of policy sets."""
    return control.answer_as(
        PolicyProposal, "POST", "/v1/policy/proposals", body=body, seconds_max=seconds_max
    )


def show_proposal(control: Transport, id: str, *, seconds_max: float = READ_SECONDS_MAX) -> ShownProposal:
    """One proposal, with its documents and those in force."""
    return control.answer_as(
        ShownProposal, "GET", f"/v1/policy/proposals/{segment(id)}", seconds_max=seconds_max
    )


def publish_policy(
    control: Transport, id: str, body: Token, *, seconds_max: float = WAIT_SECONDS_MAX
) -> PolicyApplied:
    """Put a proposal into force on another person's signature."""
    return control.answer_as(
        PolicyApplied,
        "POST",
        f"/v1/policy/proposals/{segment(id)}/publish",
        body=body,
        seconds_max=seconds_max,
    )


def withdraw_proposal(
    control: Transport, id: str, *, seconds_max: float = WAIT_SECONDS_MAX
) -> PolicyProposal:
    """Take a proposal back."""
    return control.answer_as(
        PolicyProposal, "POST", f"/v1/policy/proposals/{segment(id)}/withdraw", seconds_max=seconds_max
    )


def list_policy_sets(control: Transport) -> Iterator[KeptSet]:
    """Policy sets that were in force and can come back, the last one first."""
    return items_of(control, Page[KeptSet], "/v1/policy/sets")


def show_policy_set(control: Transport, name: str, *, seconds_max: float = READ_SECONDS_MAX) -> EarlierSet:
    """The earlier policy sets that a digest names, or `previous`."""
    return control.answer_as(EarlierSet, "GET", f"/v1/policy/sets/{segment(name)}", seconds_max=seconds_max)


def rollback_policy(
    control: Transport, body: RollbackRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> PolicyApplied:
    """Put earlier policy sets into force again on one signature."""
    return control.answer_as(PolicyApplied, "POST", "/v1/policy/rollback", body=body, seconds_max=seconds_max)
