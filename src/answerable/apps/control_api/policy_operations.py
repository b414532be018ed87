"""Policy sets: propose, publish, withdraw, roll back, and list those that were in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import (
    COUNT,
    DIGEST,
    INSTANT,
    TEXT,
    TEXTS,
    Schema,
    choice,
    record,
    sequence,
)
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
    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.policy_sets.policy_record import KeptSets, Proposal
    from answerable.flows.registry.apply_registry import Applied

ATTACHED_CHARS_MAX: Final = 262_144


async def show_policies(call: Call) -> Answer:
    """Return the sets in force and who may change them."""
    walk = call.walk
    present = policy_documents(walk.registry.documents())
    return {
        "audience": walk.ledger.origin,
        "policy_set": walk.decision_point.policy_set,
        "documents": documents_digest(present),
        "sets": [key.partition("/")[2] for key in present],
        "publishers": walk.policies.publishers,
        "proposals": len(waiting_proposals(walk)),
    }


async def plan_policies(call: Call) -> Answer:
    """Return what these policy sets would change; changes nothing."""
    documents, removed = given_sets(call)
    plan = await planned_sets(call.walk, documents, removed)
    return {
        "before": documents_digest(policy_documents(call.walk.registry.documents())),
        "after": documents_digest(policy_documents(plan.documents)),
        "policy_set": plan.decision_point.policy_set,
        "changes": _changes(plan.applied),
    }


async def list_proposals(call: Call) -> Answer:
    """List pending proposals, newest first."""
    return page_of(call, waiting_proposals(call.walk), name=lambda one: one.id, render=_proposal)


async def show_proposal(call: Call) -> Answer:
    """Return one proposal, with its documents and those in force."""
    proposal = found_proposal(call.walk, call.path["id"])
    present = policy_documents(call.walk.registry.documents())
    return {
        **_proposal(proposal),
        "superseded": documents_digest(present) != proposal.before,
        "documents": {key: parse(text.encode()) for key, text in proposal.documents.items()},
        "present": {key: parse(text) for key, text in present.items()},
    }


async def make_proposal(call: Call) -> Answer:
    """Record a signed proposal."""
    documents, removed = given_sets(call, "token", "attached")
    body = call.members("token", "attached", "documents", "removed")
    attached = body.text("attached", chars_max=ATTACHED_CHARS_MAX) if body.has("attached") else ""
    proposal = await propose_policy(
        call.walk, body.text("token"), documents, removed=removed, attached=attached
    )
    return _proposal(proposal)


async def put_proposal(call: Call) -> Answer:
    """Put a proposal into force on another person's signature."""
    token = call.members("token").text("token")
    return _applied(await publish_policy(call.walk, call.path["id"], token))


async def drop_proposal(call: Call) -> Answer:
    """Withdraw a proposal."""
    return _proposal(await withdraw_proposal(call.walk, call.path["id"], by=call.by))


async def list_sets(call: Call) -> Answer:
    """List policy sets that were in force and can be restored, most recent first."""
    return page_of(call, kept_sets(call.walk), name=lambda one: f"{one[1].digest}", render=_kept)


async def find_set(call: Call) -> Answer:
    """Return the set that a digest names, or the previous set for `previous`."""
    name = call.path["name"]
    kept = kept_set(call.walk, "" if name == "previous" else name)
    return {
        "digest": kept.digest,
        "policy_set": kept.policy_set,
        "documents": {key: parse(text.encode()) for key, text in kept.documents.items()},
    }


async def go_back(call: Call) -> Answer:
    """Put an earlier set into force again on one signature."""
    body = call.members("to", "token")
    return _applied(await rollback_policy(call.walk, body.text("to"), body.text("token")))


def given_sets(call: Call, *more: str) -> tuple[tuple[JSONValue, ...], tuple[str, ...]]:
    """Return the documents, and the names of the sets to remove. more: other members of the body."""
    body = call.members("documents", "removed", *more)
    removed = body.items("removed") if body.has("removed") else ()
    names = tuple(one for one in removed if isinstance(one, str))
    if len(names) < len(removed):
        raise REQUEST_BODY("/removed: names of policy sets must be text")
    return body.items("documents"), names


def _proposal(proposal: Proposal) -> dict[str, JSONValue]:
    return {
        "id": proposal.id,
        "by": proposal.by,
        "at": instant(proposal.at),
        "before": proposal.before,
        "after": proposal.after,
        "comment": proposal.comment,
        "attached": parse(proposal.attached.encode()),
    }


def _kept(kept: tuple[int, KeptSets]) -> JSONValue:
    at, sets = kept
    names: list[JSONValue] = [key.partition("/")[2] for key in sets.documents]
    return {"until": instant(at), "digest": sets.digest, "policy_set": sets.policy_set, "sets": names}


def _changes(applied: Applied) -> list[JSONValue]:
    return [
        {"kind": "PolicySet", "name": change.key.partition("/")[2], "how": change.how}
        for change in applied.changes
    ]


def _applied(applied: Applied) -> Answer:
    return {"changes": _changes(applied), "before": applied.before, "after": applied.after}


_OBJECT: Final[Schema] = {"type": "object"}
_CHANGES: Final = sequence(record({"kind": TEXT, "name": TEXT, "how": choice("added", "changed", "removed")}))
_PROPOSAL: Final[dict[str, Schema]] = {
    "id": TEXT,
    "by": TEXT,
    "at": INSTANT,
    "before": DIGEST,
    "after": DIGEST,
    "comment": TEXT,
    "attached": _OBJECT,
}
COMPONENTS: Final[dict[str, Schema]] = {
    "Policies": record(
        {
            "audience": TEXT,
            "policy_set": DIGEST,
            "documents": DIGEST,
            "sets": TEXTS,
            "publishers": TEXT,
            "proposals": COUNT,
        }
    ),
    "PolicySets": record({"documents": sequence(_OBJECT), "removed": TEXTS}, optional=("removed",)),
    "PolicyPlan": record({"before": DIGEST, "after": DIGEST, "policy_set": DIGEST, "changes": _CHANGES}),
    "PolicyProposal": record(_PROPOSAL),
    "ShownProposal": record(
        {**_PROPOSAL, "superseded": {"type": "boolean"}, "documents": _OBJECT, "present": _OBJECT}
    ),
    "ProposalRequest": record(
        {"documents": sequence(_OBJECT), "removed": TEXTS, "token": TEXT, "attached": TEXT},
        optional=("removed", "attached"),
    ),
    "PolicyApplied": record({"changes": _CHANGES, "before": DIGEST, "after": DIGEST}),
    "KeptSet": record({"until": INSTANT, "digest": DIGEST, "policy_set": DIGEST, "sets": TEXTS}),
    "EarlierSet": record({"digest": DIGEST, "policy_set": DIGEST, "documents": _OBJECT}),
    "RollbackRequest": record({"to": TEXT, "token": TEXT}),
}
"""In addition to those of `schemas`."""

_PATH: Final = "/v1/policy"
OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="show_policies",
        method="GET",
        path=_PATH,
        summary="Which policy sets are in force, and who may change them",
        answer="Policies",
        run=show_policies,
    ),
    Operation(
        id="plan_policies",
        method="POST",
        path=f"{_PATH}/plan",
        summary="What policy sets would change; changes nothing",
        body="PolicySets",
        answer="PolicyPlan",
        run=plan_policies,
    ),
    Operation(
        id="list_proposals",
        method="GET",
        path=f"{_PATH}/proposals",
        summary="Proposals that wait for their second person, newest first",
        answer="PolicyProposal",
        page=True,
        run=list_proposals,
    ),
    Operation(
        id="propose_policy",
        method="POST",
        path=f"{_PATH}/proposals",
        summary="Record a signed proposal of policy sets",
        body="ProposalRequest",
        answer="PolicyProposal",
        run=make_proposal,
    ),
    Operation(
        id="show_proposal",
        method="GET",
        path=f"{_PATH}/proposals/{{id}}",
        summary="One proposal, with its documents and those in force",
        answer="ShownProposal",
        run=show_proposal,
    ),
    Operation(
        id="publish_policy",
        method="POST",
        path=f"{_PATH}/proposals/{{id}}/publish",
        summary="Put a proposal into force on another person's signature",
        body="Token",
        answer="PolicyApplied",
        run=put_proposal,
    ),
    Operation(
        id="withdraw_proposal",
        method="POST",
        path=f"{_PATH}/proposals/{{id}}/withdraw",
        summary="Take a proposal back",
        body="Nothing",
        answer="PolicyProposal",
        run=drop_proposal,
    ),
    Operation(
        id="list_policy_sets",
        method="GET",
        path=f"{_PATH}/sets",
        summary="Policy sets that were in force and can come back, the last one first",
        answer="KeptSet",
        page=True,
        run=list_sets,
    ),
    Operation(
        id="show_policy_set",
        method="GET",
        path=f"{_PATH}/sets/{{name}}",
        summary="The earlier policy sets that a digest names, or `previous`",
        answer="EarlierSet",
        run=find_set,
    ),
    Operation(
        id="rollback_policy",
        method="POST",
        path=f"{_PATH}/rollback",
        summary="Put earlier policy sets into force again on one signature",
        body="RollbackRequest",
        answer="PolicyApplied",
        run=go_back,
    ),
)
