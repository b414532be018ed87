"""The recorded question of a decision: its full input, so that the same or other policies can evaluate it again.

Laws: the question holds everything that the decision was made on; it is data only, and evaluating it again needs no
register, no clock and no registry of ours. Omitted members have the defaults of its version, and the version documents
the source of each part (`docs/reference/wire/ledger.md`): intents repeat neither.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from answerable.core.decision.policy_context import ALWAYS_MOVING, moving_members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.facts import ApprovalFact, Facts
    from answerable.core.decision.policy_context import Context
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.documents.policy_parts import PolicyParts

QUESTION_VERSION: Final = 3
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
"""Defaults of omitted members, and of omitted members of those, in a question of version 2. Part of the format: never
changed. Where a rule denied, `risk` may be absent without meaning its default."""

_TIER_UNSAID: Final = 3
"""Of an agent whose document states none. Part of the format, too."""
_encode: Final = msgspec.json.Encoder().encode


class QuestionForm:
    """The questions of all actions of one caller with one capability under one mandate, as bytes with holes: what they
    share is encoded once. Members of the context stand in the order of their names, and the risk last."""

    __slots__ = (
        "_capability",
        "_end",
        "_extra",
        "_head",
        "_middle",
        "_moving",
        "_resource",
        "_task",
        "_unsaid",
    )

    def __init__(self, shared: Context, capability: Capability, agent: Agent, parts: PolicyParts) -> None:
        """shared: as `shared_context` returned it."""
        task: Any = shared["task"]
        self._capability = capability
        self._unsaid = unsaid_of(agent.environment, capability.kind, agent.use_case, agent.ownership.owner)
        action = _encode({"id": capability.name, "kind": capability.kind})
        own = _unlike(shared["agent"], self._unsaid["agent"])
        self._head = b'{"action":%b,"context":{"agent":%b,"arguments":' % (action, _encode(own))
        chain = shared["chain"]
        self._middle = _member("capability", _unlike(shared["capability"], self._unsaid["capability"]))
        if chain != own_chain(str(agent.name), task["principal"]):
            self._middle += _member("chain", chain)
        self._moving = moving_members(capability, parts)
        self._middle += self._said("destination", shared)
        fixed_end = self._said("windows", shared) + self._said("risk", shared)
        said: Any = _unlike(task, self._unsaid["task"])
        later = {name: told for name, told in said.items() if name not in ("calls_max", "calls_used")}
        self._task = b'{"calls_max":%d,"calls_used":' % task["calls_max"], b",%b" % _encode(later)[1:]
        principal = {"environment": agent.environment, "id": agent.name, "use_case": agent.use_case}
        self._end = b'%b},"principal":%b,"registry":' % (fixed_end, _encode(principal))
        self._resource = b',"type":%b},"v":%d' % (_encode(capability.resource.type), QUESTION_VERSION)
        pointed = any(one.pointer for one in capability.arguments)
        self._extra: dict[str, object] = {"mapping": _mapping(capability)} if pointed else {}

    def filled(self, verified: VerifiedRequest, facts: Facts, context: Context, *, rule: str = "") -> bytes:
        """Return the question as JSON text on one line.

        context: with its moving members. rule: code of the rule that denied before any policy was evaluated; empty
        where policies were. The member `mapping` states how the capability maps arguments, each as name, type, whether
        required, and pointer; it is present where some are named by pointer, or one did not fit, because then the
        action alone does not determine the mapped arguments.
        """
        used, (task, rest) = facts.mandate_calls_used, self._task
        budget = history = b""
        if facts.budget != own_calls(verified.mandate.calls_max, used):
            budget = _member("budget", {**facts.budget})
        if facts.history:
            history = _member("history", {**facts.history})
        destination = windows = risk = b""
        if len(self._moving) > len(ALWAYS_MOVING):
            destination, windows, risk = (
                self._said(name, context) for name in ("destination", "windows", "risk")
            )
        moment = b',"now":%d,"proof":"%b","task":%b%d%b' % (
            facts.at,
            verified.caller.proof.encode(),
            task,
            used,
            rest,
        )
        extra = self._extra
        if rule or facts.approval is not None or facts.hold is not None or facts.mandate_state != "open":
            extra = self._with(facts, rule)
        return b"".join(
            (
                self._head,
                _encode(context["arguments"]),
                budget,
                self._middle,
                destination,
                history,
                moment,
                windows,
                risk,
                self._end,
                _encode(facts.registry_digest),
                b',"resource":{"id":',
                _encode(verified.resource_id),
                self._resource,
                b",%b" % _encode(extra)[1:] if extra else b"}",
            )
        )

    def _said(self, name: str, context: Context) -> bytes:
        """Return a member of the context that may be left out; nothing where it is not in this one, or the usual."""
        return _member(name, _unlike(context.get(name), self._unsaid[name]))

    def _with(self, facts: Facts, rule: str) -> dict[str, object]:
        """Return what is said beside the context and the names: present only where it is not what is usual."""
        asked: dict[str, object] = {}
        if facts.approval is not None:
            asked["approval"] = _approval(facts.approval)
        if facts.hold is not None:
            asked["hold"] = {"id": facts.hold.id, "kind": facts.hold.kind}
        if facts.mandate_state != "open":
            asked["mandate_state"] = facts.mandate_state
        asked |= self._extra
        if rule == UNMAPPABLE:
            asked["mapping"] = _mapping(self._capability)
        if rule:
            asked["rule"] = rule
        return asked


def own_chain(agent: str, person: object) -> dict[str, object]:
    """Return the default of an omitted `chain`: the mandate's own agent acts itself. person: as in `task.principal`."""
    return {"agents": [agent], "depth": 0, "person": person, "root": agent}


@lru_cache(1024)
def unsaid_of(environment: str, kind: str, use_case: str, owner: str) -> Mapping[str, Mapping[str, object]]:
    """Return the defaults of omitted members in a question of version 3: those of version 2, and what the question says
    elsewhere. Part of the format: never changed.

    environment, use_case: of `principal`. kind: of `action`. owner: of `context.agent`.
    """
    return {
        **UNSAID,
        "agent": {**UNSAID["agent"], "environment": environment, "tier": _TIER_UNSAID},
        "capability": {"environment": environment, "kind": kind, "owner": owner, "reversible": False},
        "task": {"use_case": use_case},
    }


def own_calls(calls_max: int, calls_used: int) -> dict[str, int]:
    """Return what is left of a mandate that limits calls alone, which is the default of an omitted `budget`. Parameters
    as in `task`."""
    rest = max(0, calls_max - calls_used)
    return {"calls_left": rest, "left_percent": rest * 100 // calls_max if calls_max else 0}


def _unlike(told: Any, unsaid: Mapping[str, object] | None) -> object | None:
    """Return what is said of a member of the context: without names that have the defaults of this version; None where
    the whole member has."""
    if told == unsaid:
        return None
    if told and unsaid:
        return {name: value for name, value in told.items() if name not in unsaid or value != unsaid[name]}
    return cast("object", told)


def _member(name: str, said: object | None) -> bytes:
    """Return a further member of an object; nothing for None."""
    return b"" if said is None else b',"%b":%b' % (name.encode(), _encode(said))


def _mapping(capability: Capability) -> list[tuple[str, str, bool, str]]:
    return [(one.name, one.type, one.required, one.pointer) for one in capability.arguments]


def _approval(approval: ApprovalFact) -> dict[str, object]:
    glass = {"glass": approval.glass} if approval.glass else {}
    return {"answered_by": approval.answered_by, **glass, "id": approval.id}
