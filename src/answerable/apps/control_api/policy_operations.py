"""Policy sets: propose, publish, withdraw, roll back, and list those that were in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from msgspec import structs

from answerable.api import policy_answers as answers
from answerable.api.members import Nothing, Page, Token
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.canonical import parse
from answerable.core.registry.policy_sets.publication import documents_digest, policy_documents
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.policy.publish_policy import (
    found_proposal,
    planned_sets,
    propose_policy,
    publish_policy,
    rollback_policy,
    waiting_proposals,
    withdraw_proposal,
)
from answerable.flows.registry.keep_policies import kept_set, kept_sets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.api.members import AnyObject
    from answerable.apps.control_api.call import Call
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.policy_sets.policy_record import KeptSets, Proposal
    from answerable.flows.registry.record_change import Applied

ATTACHED_CHARS_MAX: Final = 262_144


@operation(
    "GET",
    "/v1/policy",
    id="show_policies",
    summary="Which policy sets are in force, and who may change them",
    answer=answers.Policies,
)
async def show_policies(call: Call) -> answers.Policies:
    """Return the sets in force and who may change them."""
    walk = call.walk
    present = policy_documents(walk.authority.registry.documents())
    return answers.Policies(
        audience=walk.recorder.ledger.origin,
        policy_set=walk.policies.decision_point.policy_set,
        documents=documents_digest(present),
        sets=tuple(key.partition("/")[2] for key in present),
        publishers=walk.policies.publishers,
        proposals=len(waiting_proposals(walk.policies)),
    )


@operation(
    "POST",
    "/v1/policy/plan",
    id="plan_policies",
    summary="What policy sets would change; changes nothing",
    answer=answers.PolicyPlan,
    body=answers.PolicySets,
)
async def plan_policies(call: Call) -> answers.PolicyPlan:
    """Return what these policy sets would change; changes nothing."""
    documents, removed = given_sets(call)
    plan = await planned_sets(
        call.walk.authority.registry,
        call.walk.policies,
        call.walk.drills,
        call.walk.limits,
        call.walk.clock,
        documents,
        removed,
    )
    return answers.PolicyPlan(
        before=documents_digest(policy_documents(call.walk.authority.registry.documents())),
        after=documents_digest(policy_documents(plan.documents)),
        policy_set=plan.decision_point.policy_set,
        changes=_changes(plan.applied),
    )


@operation(
    "GET",
    "/v1/policy/proposals",
    id="list_proposals",
    summary="Proposals that wait for their second person, newest first",
    answer=Page[answers.PolicyProposal],
)
async def list_proposals(call: Call) -> Page[answers.PolicyProposal]:
    """List pending proposals, newest first."""
    return page_of(call, waiting_proposals(call.walk.policies), name=lambda one: one.id, render=_proposal)


@operation(
    "GET",
    "/v1/policy/proposals/{id}",
    id="show_proposal",
    summary="One proposal, with its documents and those in force",
    answer=answers.ShownProposal,
)
async def show_proposal(call: Call) -> answers.ShownProposal:
    """Return one proposal, with its documents and those in force."""
    proposal = found_proposal(call.walk.policies, call.path["id"])
    present = policy_documents(call.walk.authority.registry.documents())
    return answers.ShownProposal(
        **structs.asdict(_proposal(proposal)),
        superseded=documents_digest(present) != proposal.before,
        documents=_parsed({key: text.encode() for key, text in proposal.documents.items()}),
        present=_parsed(present),
    )


@operation(
    "POST",
    "/v1/policy/proposals",
    id="propose_policy",
    summary="Record a signed proposal of policy sets",
    answer=answers.PolicyProposal,
    body=answers.ProposalRequest,
)
async def make_proposal(call: Call) -> answers.PolicyProposal:
    """Record a signed proposal."""
    documents, removed = given_sets(call, "token", "attached")
    body = call.members("token", "attached", "documents", "removed")
    attached = body.text("attached", chars_max=ATTACHED_CHARS_MAX) if body.has("attached") else ""
    proposal = await propose_policy(
        call.walk.recorder,
        call.walk.authority,
        call.walk.asking,
        call.walk.applying,
        body.text("token"),
        documents,
        removed=removed,
        attached=attached,
    )
    return _proposal(proposal)


@operation(
    "POST",
    "/v1/policy/proposals/{id}/publish",
    id="publish_policy",
    summary="Put a proposal into force on another person's signature",
    answer=answers.PolicyApplied,
    body=Token,
)
async def put_proposal(call: Call) -> answers.PolicyApplied:
    """Put a proposal into force on another person's signature."""
    token = call.members("token").text("token")
    return _applied(
        await publish_policy(
            call.walk.recorder,
            call.walk.authority,
            call.walk.asking,
            call.walk.applying,
            call.path["id"],
            token,
        )
    )


@operation(
    "POST",
    "/v1/policy/proposals/{id}/withdraw",
    id="withdraw_proposal",
    summary="Take a proposal back",
    answer=answers.PolicyProposal,
    body=Nothing,
)
async def drop_proposal(call: Call) -> answers.PolicyProposal:
    """Withdraw a proposal."""
    return _proposal(
        await withdraw_proposal(
            call.walk.recorder, call.walk.asking.under_way, call.walk.policies, call.path["id"], by=call.by
        )
    )


@operation(
    "GET",
    "/v1/policy/sets",
    id="list_policy_sets",
    summary="Policy sets that were in force and can come back, the last one first",
    answer=Page[answers.KeptSet],
)
async def list_sets(call: Call) -> Page[answers.KeptSet]:
    """List policy sets that were in force and can be restored, most recent first."""
    return page_of(call, kept_sets(call.walk.policies), name=lambda one: f"{one[1].digest}", render=_kept)


@operation(
    "GET",
    "/v1/policy/sets/{name}",
    id="show_policy_set",
    summary="The earlier policy sets that a digest names, or `previous`",
    answer=answers.EarlierSet,
)
async def find_set(call: Call) -> answers.EarlierSet:
    """Return the set that a digest names, or the previous set for `previous`."""
    name = call.path["name"]
    kept = kept_set(call.walk.authority.registry, call.walk.policies, "" if name == "previous" else name)
    return answers.EarlierSet(
        digest=kept.digest,
        policy_set=kept.policy_set,
        documents=_parsed({key: text.encode() for key, text in kept.documents.items()}),
    )


@operation(
    "POST",
    "/v1/policy/rollback",
    id="rollback_policy",
    summary="Put earlier policy sets into force again on one signature",
    answer=answers.PolicyApplied,
    body=answers.RollbackRequest,
)
async def go_back(call: Call) -> answers.PolicyApplied:
    """Put an earlier set into force again on one signature."""
    body = call.members("to", "token")
    return _applied(
        await rollback_policy(
            call.walk.recorder,
            call.walk.authority,
            call.walk.asking,
            call.walk.applying,
            body.text("to"),
            body.text("token"),
        )
    )


def given_sets(call: Call, *more: str) -> tuple[tuple[JSONValue, ...], tuple[str, ...]]:
    """Return the documents, and the names of the sets to remove. more: other members of the body."""
    body = call.members("documents", "removed", *more)
    removed = body.items("removed") if body.has("removed") else ()
    names = tuple(one for one in removed if isinstance(one, str))
    if len(names) < len(removed):
        raise REQUEST_BODY("/removed: names of policy sets must be text")
    return body.items("documents"), names


def _parsed(documents: Mapping[str, bytes]) -> dict[str, AnyObject]:
    return cast("dict[str, AnyObject]", {key: parse(text) for key, text in documents.items()})


def _proposal(proposal: Proposal) -> answers.PolicyProposal:
    return answers.PolicyProposal(
        id=proposal.id,
        by=proposal.by,
        at=instant(proposal.at),
        before=proposal.before,
        after=proposal.after,
        comment=proposal.comment,
        attached=cast("AnyObject", parse(proposal.attached.encode())),
    )


def _kept(kept: tuple[int, KeptSets]) -> answers.KeptSet:
    at, sets = kept
    names = tuple(key.partition("/")[2] for key in sets.documents)
    return answers.KeptSet(until=instant(at), digest=sets.digest, policy_set=sets.policy_set, sets=names)


def _changes(applied: Applied) -> tuple[answers.SetChange, ...]:
    return tuple(
        answers.SetChange(kind="PolicySet", name=change.key.partition("/")[2], how=change.how)
        for change in applied.changes
    )


def _applied(applied: Applied) -> answers.PolicyApplied:
    return answers.PolicyApplied(changes=_changes(applied), before=applied.before, after=applied.after)


OPERATIONS: Final[tuple[Operation, ...]] = (
    show_policies,
    plan_policies,
    list_proposals,
    make_proposal,
    show_proposal,
    put_proposal,
    drop_proposal,
    list_sets,
    find_set,
    go_back,
)
