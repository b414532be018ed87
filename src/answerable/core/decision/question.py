"""What a decision was asked, written down with it, so that it can be asked again: of the same policies or of others.

Laws: the question holds everything that the decision was made on; it is data only, and asking it again needs no
register, no clock and no registry of ours. What it does not say has the value that its version gives to what is not
said, and its version says where each part came from (`docs/reference/wire/ledger.md`): no intent repeats either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.facts import ApprovalFact, Facts
    from answerable.core.decision.policy_context import Context
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent

QUESTION_VERSION: Final = 2
UNMAPPABLE: Final = "arguments.unmappable"
"""The rule by which an argument that policy cannot be shown as declared is a denial."""
UNSAID: Final[dict[str, dict[str, object]]] = {
    "agent": {
        "drifted": False,
        "instance": "",
        "manifest": "",
        "manifest_grade": "",
        "manifest_kernel": [],
        "manifest_measured": [],
    },
    "destination": {"class": "none", "classes": ["none"], "names": [], "type": ""},
    "history": {},
    "risk": {"factors": [], "score": 0},
    "windows": {},
}
"""What a question of this version means by a member of its context, or a member of that, that it does not have. Part of
the format: never changed. Where a rule said no there may be no `risk`, and none is meant."""

_ENCODER: Final = msgspec.json.Encoder()


def question_of(
    verified: VerifiedRequest, facts: Facts, context: Context, *, agent: Agent, rule: str = ""
) -> bytes:
    """The question as JSON text on one line.

    rule: the code of the rule that said no before any policy was asked; empty where the policies were. Its `mapping`
    says how the capability maps arguments, each as name, type, whether it is required, and pointer: where some have
    their name by a pointer, or one did not fit, for then the action does not say by itself what they are.
    """
    capability = verified.resolved.capability
    asked: dict[str, object] = {
        "action": {"id": capability.name, "kind": capability.kind},
        "context": _said(context, agent),
        "principal": {"environment": agent.environment, "id": agent.name, "use_case": agent.use_case},
        "registry": facts.registry_digest,
        "resource": {"id": verified.resource_id, "type": capability.resource.type},
        "v": QUESTION_VERSION,
    }
    if facts.approval is not None:
        asked["approval"] = _approval(facts.approval)
    if facts.hold is not None:
        asked["hold"] = {"id": facts.hold.id, "kind": facts.hold.kind}
    if facts.mandate_state != "open":
        asked["mandate_state"] = facts.mandate_state
    mapping = _mapping(capability, rule)
    if mapping:
        asked["mapping"] = mapping
    if rule:
        asked["rule"] = rule
    return _ENCODER.encode(asked)


def own_chain(agent: str, person: object) -> dict[str, object]:
    """What a question means that has no `chain`: the agent of the mandate acts itself. person: as `task.principal`."""
    return {"agents": [agent], "depth": 0, "person": person, "root": agent}


def _said(context: Context, agent: Agent) -> Context:
    """The context without what this version of questions means by saying nothing."""
    said = {**context}
    for member, unsaid in UNSAID.items():
        told: Any = context.get(member)
        if told == unsaid:
            del said[member]
        elif told and unsaid:
            said[member] = {
                name: value for name, value in told.items() if name not in unsaid or value != unsaid[name]
            }
    task: Any = context["task"]
    if context["chain"] == own_chain(str(agent.name), task["principal"]):
        del said["chain"]
    return said


def _mapping(capability: Capability, rule: str) -> list[tuple[str, str, bool, str]]:
    if rule != UNMAPPABLE and not any(one.pointer for one in capability.arguments):
        return []
    return [(one.name, one.type, one.required, one.pointer) for one in capability.arguments]


def _approval(approval: ApprovalFact) -> dict[str, object]:
    glass = {"glass": approval.glass} if approval.glass else {}
    return {"answered_by": approval.answered_by, **glass, "id": approval.id}
