"""An approver asks for less instead: a no, and beside it what they would rather be asked about.

Nothing is asked or approved in the agent's name. The old question ends; the agent is told the arguments; when it calls
with exactly these, that is an action of its own: proved, verified and decided as any other, by the policy of then, and
if that asks for people, they get a card of its own, which says where the arguments come from.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from answerable.core.approval.approval import NOTHING_SHOWN
from answerable.core.approval.counter_proposal import narrowable_arguments, narrower_arguments
from answerable.core.canonical import FrozenJSON, freeze
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_MALFORMED, APPROVAL_NOT_NARROWER

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.approval.counter_proposal import Narrowable
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.walk import Walk


def narrowable_of(walk: Walk, approval: Approval) -> tuple[Narrowable, ...]:
    """What of this action may be less; nothing where the registry does not say, or does not know it any more."""
    capability = walk.registry.current.capabilities.get(approval.capability)
    return () if capability is None else narrowable_arguments(capability, _arguments(approval))


def with_proposal(walk: Walk, approval: Approval, answer: Answer) -> Approval:
    """The approval with the narrower action that this answer proposes, if it proposes one.

    Raises Malformed (`approval.malformed`, `json.*`), Refused (`approval.not_narrower`).
    """
    if not answer.narrower:
        return approval
    return replace(approval, proposed=proposed_action(walk, approval, answer.narrower))


def proposed_action(walk: Walk, approval: Approval, narrower: str) -> FrozenJSON:
    """The narrower action, frozen. narrower: new values by argument, canonical JSON. Raises as `with_proposal`."""
    changes = FrozenJSON.from_canonical(narrower.encode()).thaw()
    if not isinstance(changes, dict):
        raise APPROVAL_MALFORMED("what is proposed is an object of values by argument")
    capability = walk.registry.current.capabilities.get(approval.capability)
    if capability is None:
        raise APPROVAL_NOT_NARROWER(
            f"capability {shown(approval.capability)} is not registered any more, so nobody knows what is less of it"
        )
    action = _action(approval)
    arguments = narrower_arguments(capability, _arguments(approval), changes)
    return freeze({**action, "arguments": arguments})


def proposed_before(walk: Walk, verified: VerifiedRequest, at: UnixMillis) -> tuple[str, ...]:
    """What the card of a new question says of approvers who proposed exactly this action to this agent."""
    agent, mandate, action = verified.caller.agent, verified.mandate.id, verified.request.action
    found = (
        f"narrower than {one.id}, as proposed in its place"
        for one in walk.approvals.all(pending_only=False, now=at)
        if one.agent == agent and one.mandate == mandate and one.proposed == action
        if one.is_denied_by_people(at)
    )
    return tuple(islice(found, 1))


def asked_as_proposed(walk: Walk, approval: Approval) -> Approval | None:
    """The question about the proposed action, if the agent has come back with it and it still counts."""
    if approval.proposed == NOTHING_SHOWN:
        return None
    return walk.approvals.matching(
        approval.agent, approval.mandate, approval.proposed.digest, walk.clock.now()
    )


def _arguments(approval: Approval) -> dict[str, JSONValue]:
    own = _action(approval).get("arguments")
    return own if isinstance(own, dict) else {}


def _action(approval: Approval) -> dict[str, JSONValue]:
    action = approval.action.thaw()
    assert isinstance(action, dict)  # noqa: S101 - `action_request` freezes a dict
    return action
