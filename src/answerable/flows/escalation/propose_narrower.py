"""Let an approver deny an action and propose a narrower one in its place.

Nothing is requested or approved in the agent's name. The old question ends and the agent receives the proposed
arguments. A call with exactly these is an action of its own: proved, verified and decided like any other, by the policy
then in force. If policy asks people, the new card says where the arguments come from.
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
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.clock import Clock
    from answerable.ports.registry_store import RegistryStore


def narrowable_of(registry: RegistryStore, approval: Approval) -> tuple[Narrowable, ...]:
    """Return the arguments that may be narrowed; empty where the registry does not say so or no longer has the
    capability."""
    capability = registry.current.capabilities.get(approval.capability)
    return () if capability is None else narrowable_arguments(capability, _arguments(approval))


def with_proposal(registry: RegistryStore, approval: Approval, answer: Answer) -> Approval:
    """Return the approval with the narrower action that this answer proposes, if it proposes one.

    Raises Malformed (`approval.malformed`, `json.*`), Refused (`approval.not_narrower`).
    """
    if not answer.narrower:
        return approval
    return replace(approval, proposed=proposed_action(registry, approval, answer.narrower))


def proposed_action(registry: RegistryStore, approval: Approval, narrower: str) -> FrozenJSON:
    """Freeze the narrower action. narrower: new values by argument, as canonical JSON. Raises as `with_proposal`."""
    changes = FrozenJSON.from_canonical(narrower.encode()).thaw()
    if not isinstance(changes, dict):
        raise APPROVAL_MALFORMED("a proposal must be an object of argument names and values")
    capability = registry.current.capabilities.get(approval.capability)
    if capability is None:
        raise APPROVAL_NOT_NARROWER(
            f"capability {shown(approval.capability)} is no longer registered, so a narrower "
            "action cannot be checked"
        )
    action = _action(approval)
    arguments = narrower_arguments(capability, _arguments(approval), changes)
    return freeze({**action, "arguments": arguments})


def proposed_before(
    approvals: ApprovalRegister, verified: VerifiedRequest, at: UnixMillis
) -> tuple[str, ...]:
    """Return the note for a new card about an approver's proposal of exactly this action to this agent."""
    agent, mandate, action = verified.caller.agent, verified.mandate.id, verified.request.action
    found = (
        f"narrower than {one.id}, as proposed in its place"
        for one in approvals.all(pending_only=False, now=at)
        if one.agent == agent and one.mandate == mandate and one.proposed == action
        if one.is_denied_by_people(at)
    )
    return tuple(islice(found, 1))


def asked_as_proposed(approvals: ApprovalRegister, clock: Clock, approval: Approval) -> Approval | None:
    """Return the approval of the proposed action, if the agent has requested it and it still counts."""
    if approval.proposed == NOTHING_SHOWN:
        return None
    return approvals.matching(approval.agent, approval.mandate, approval.proposed.digest, clock.now())


def _arguments(approval: Approval) -> dict[str, JSONValue]:
    own = _action(approval).get("arguments")
    return own if isinstance(own, dict) else {}


def _action(approval: Approval) -> dict[str, JSONValue]:
    action = approval.action.thaw()
    assert isinstance(action, dict)  # noqa: S101 - `action_request` freezes a dict
    return action
