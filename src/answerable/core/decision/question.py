"""What a decision was asked, written down with it, so that it can be asked again: of the same policies or of others.

Laws: the question holds everything that the decision was made on and where each part came from; it is data only, and
asking it again needs no register, no clock and no registry of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.facts import ApprovalFact, Facts
    from answerable.core.decision.policy_context import Context
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent

QUESTION_VERSION: Final = 1
UNMAPPABLE: Final = "arguments.unmappable"
"""The rule by which an argument that policy cannot be shown as declared is a denial."""
SOURCES: Final = {
    "agent": "registry, and what attestation measured",
    "approval": "approval register",
    "arguments": "request",
    "budget": "mandate register",
    "capability": "registry",
    "chain": "signed mandate and hops",
    "destination": "request, by the classes of the policy set",
    "history": "history register",
    "now": "gateway clock",
    "proof": "verified proof",
    "resource": "request",
    "risk": "factors of the policy set",
    "task": "signed mandate, mandate register",
    "windows": "gateway clock, by the windows of the policy set",
}
"""Where each part comes from, by its member. The same for every question of this version, but that one about what is
held says where `hold` comes from."""

_ENCODER: Final = msgspec.json.Encoder()


def question_of(
    verified: VerifiedRequest, facts: Facts, context: Context, *, agent: Agent, rule: str = ""
) -> bytes:
    """The question as JSON text on one line.

    rule: the code of the rule that said no before any policy was asked; empty where the policies were. Its `mapping`
    says how the capability maps arguments, each as name, type, whether it is required, and pointer: where some have
    their name by a pointer, or one did not fit, for then the action does not say by itself what they are; else empty.
    """
    capability = verified.resolved.capability
    held = facts.hold
    return _ENCODER.encode(
        {
            **({} if held is None else {"hold": {"id": held.id, "kind": held.kind}}),
            "action": {"id": capability.name, "kind": capability.kind},
            "approval": None if facts.approval is None else _approval(facts.approval),
            "context": context,
            "mandate_state": facts.mandate_state,
            "mapping": _mapping(capability, rule),
            "principal": {"environment": agent.environment, "id": agent.name, "use_case": agent.use_case},
            "registry": facts.registry_digest,
            "resource": {"id": verified.resource_id, "type": capability.resource.type},
            "rule": rule,
            "sources": _SOURCES if held is None else _HELD_SOURCES,
            "v": QUESTION_VERSION,
        }
    )


def _mapping(capability: Capability, rule: str) -> list[tuple[str, str, bool, str]]:
    if rule != UNMAPPABLE and not any(one.pointer for one in capability.arguments):
        return []
    return [(one.name, one.type, one.required, one.pointer) for one in capability.arguments]


def _approval(approval: ApprovalFact) -> dict[str, object]:
    glass = {"glass": approval.glass} if approval.glass else {}
    return {"answered_by": approval.answered_by, **glass, "id": approval.id}


_SOURCES: Final = msgspec.Raw(_ENCODER.encode(SOURCES))
_HELD_SOURCES: Final = msgspec.Raw(_ENCODER.encode({**SOURCES, "hold": "hold register"}))
