"""The recorded question of a decision: its full input, so that the same or other policies can evaluate it again.

Laws: the question holds everything that the decision was made on; it is data only, and evaluating it again needs no
register, no clock and no registry of ours. Omitted members have the defaults of its version, and the version documents
the source of each part (`docs/reference/wire/ledger.md`): intents repeat neither.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.action.text_form import form_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.facts import ApprovalFact, Facts
    from answerable.core.decision.policy_context import Context
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent

QUESTION_VERSION: Final = 2
UNMAPPABLE: Final = "arguments.unmappable"
"""The rule that denies an argument that cannot be converted to policy as declared."""
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
"""Defaults of omitted members, and of omitted members of those, in a question of this version. Part of the format:
never changed. Where a rule denied, `risk` may be absent without meaning its default."""

_ENCODER: Final = msgspec.json.Encoder()
_UNSAID_BY_ACTION: Final = ("destination", "history", "windows", "risk")
"""Members with defaults that differ between actions of one plan."""


def _mark(name: str) -> str:
    return f"\0{name}"


_HOLES: Final = (
    *(f'"\\u0000{name}"' for name in ("arguments", "budget")),
    *(f',"{name}":{{"\\u0000{name}":0}}' for name in ("destination", "history")),
    *(f'"\\u0000{name}"' for name in ("now", "proof", "calls_used")),
    *(f',"{name}":{{"\\u0000{name}":0}}' for name in ("windows", "risk")),
    '"\\u0000resource_id"',
)
"""What differs between actions of one plan, in the order of the context."""


def question_of(
    verified: VerifiedRequest, facts: Facts, context: Context, *, agent: Agent, rule: str = ""
) -> bytes:
    """Return the question as JSON text on one line.

    rule: code of the rule that denied before any policy was evaluated; empty where policies were. The member `mapping`
    states how the capability maps arguments, each as name, type, whether required, and pointer; it is present where
    some are named by pointer, or one did not fit, because then the action alone does not determine the mapped
    arguments.
    """
    mapping = _mapping(verified.resolved.capability, rule)
    is_plain = facts.approval is None and facts.hold is None and facts.mandate_state == "open"
    forms = verified.forms
    if forms is not None and is_plain and not mapping and not rule:
        written = (
            agent, verified.resolved, verified.mandate, verified.hops, verified.caller.identity,
            facts.registry_digest,
        )  # fmt: skip
        form = forms.find(
            "question",
            written,
            lambda: form_of(_encoded(verified, facts, _marked(context), agent), _HOLES, written),
        )
        if form is not None:
            return form.filled(*_texts(context, verified.resource_id))
    more: dict[str, object] = {}
    if facts.approval is not None:
        more["approval"] = _approval(facts.approval)
    if facts.hold is not None:
        more["hold"] = {"id": facts.hold.id, "kind": facts.hold.kind}
    if facts.mandate_state != "open":
        more["mandate_state"] = facts.mandate_state
    if mapping:
        more["mapping"] = mapping
    if rule:
        more["rule"] = rule
    return _encoded(verified, facts, context, agent, resource_id=verified.resource_id, more=more)


def _encoded(
    verified: VerifiedRequest,
    facts: Facts,
    context: Context,
    agent: Agent,
    *,
    resource_id: str = _mark("resource_id"),
    more: Mapping[str, object] = MappingProxyType({}),
) -> bytes:
    capability = verified.resolved.capability
    asked: dict[str, object] = {
        "action": {"id": capability.name, "kind": capability.kind},
        "context": _said(context, agent),
        "principal": {"environment": agent.environment, "id": agent.name, "use_case": agent.use_case},
        "registry": facts.registry_digest,
        "resource": {"id": resource_id, "type": capability.resource.type},
        "v": QUESTION_VERSION,
        **more,
    }
    return _ENCODER.encode(asked)


def _marked(context: Context) -> Context:
    """Return the context with a mark for each member that differs between actions of one plan, all of them said."""
    task: Any = context["task"]
    return {
        **context,
        **{name: _mark(name) for name in ("arguments", "budget", "now", "proof")},
        **{name: {_mark(name): 0} for name in _UNSAID_BY_ACTION},
        "task": {**task, "calls_used": _mark("calls_used")},
    }


def _texts(context: Context, resource_id: str) -> tuple[object, ...]:
    """Return the texts for the holes."""
    task: Any = context["task"]
    destination, history, windows, risk = (
        "" if (told := _said_of(name, context[name])) is None else f',"{name}":{_json(told)}'
        for name in _UNSAID_BY_ACTION
    )
    return (
        _json(context["arguments"]), _json(context["budget"]), destination, history, context["now"],
        _json(context["proof"]), task["calls_used"], windows, risk, _json(resource_id),
    )  # fmt: skip


def _json(value: object) -> str:
    return _ENCODER.encode(value).decode()


def own_chain(agent: str, person: object) -> dict[str, object]:
    """Return the default of an omitted `chain`: the mandate's own agent acts itself. person: as in `task.principal`."""
    return {"agents": [agent], "depth": 0, "person": person, "root": agent}


def _said(context: Context, agent: Agent) -> Context:
    """Return the context without the members that have the defaults of this version."""
    said = {**context}
    for member in UNSAID:
        if member in context:
            told = _said_of(member, context[member])
            if told is None:
                del said[member]
            else:
                said[member] = told
    task: Any = context["task"]
    if context["chain"] == own_chain(str(agent.name), task["principal"]):
        del said["chain"]
    return said


def _said_of(member: str, told: Any) -> object:
    """Return a member without what has the defaults of this version; None where all of it has."""
    unsaid = UNSAID[member]
    if told == unsaid:
        return None
    if not told or not unsaid:
        return told
    return {name: value for name, value in told.items() if name not in unsaid or value != unsaid[name]}


def _mapping(capability: Capability, rule: str) -> list[tuple[str, str, bool, str]]:
    if rule != UNMAPPABLE and not any(one.pointer for one in capability.arguments):
        return []
    return [(one.name, one.type, one.required, one.pointer) for one in capability.arguments]


def _approval(approval: ApprovalFact) -> dict[str, object]:
    glass = {"glass": approval.glass} if approval.glass else {}
    return {"answered_by": approval.answered_by, **glass, "id": approval.id}
