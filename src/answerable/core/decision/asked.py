"""Read a recorded policy question, and derive the context that another policy set would see.

Laws: nothing missing from the question is made up; members that derive from a policy set's own declarations (windows,
classes, risk) are recomputed from the facts in the question, because they are a pure function of them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.decision.destination_class import classed_as
from answerable.core.decision.facts import ApprovalFact
from answerable.core.decision.question import (
    QUESTION_VERSION,
    UNSAID,
    own_calls,
    own_chain,
    unsaid_of,
)
from answerable.core.decision.risk import risk_of
from answerable.core.decision.time_windows import windows_at
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.documents.capability import ArgumentMapping, ArgumentType
from answerable.errors import shown
from answerable.errors.codes.policy import (
    QUESTION_MALFORMED,
    QUESTION_TRACKER_CHANGED,
    QUESTION_TRACKER_NEW,
    QUESTION_TRACKER_UNKNOWN,
)
from answerable.errors.codes.policy import QUESTION_VERSION as OTHER_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.decision.policy_context import Context
    from answerable.core.registry.documents.policy_parts import PolicyParts


class AskedAction(msgspec.Struct, frozen=True, kw_only=True):
    """The capability and its kind of action."""

    id: str
    kind: str


class AskedPrincipal(msgspec.Struct, frozen=True, kw_only=True):
    """The agent as registered at the time."""

    environment: str
    id: str
    use_case: str


class AskedResource(msgspec.Struct, frozen=True, kw_only=True):
    """The resource of the action."""

    id: str
    type: str


class AskedApproval(msgspec.Struct, frozen=True, kw_only=True):
    """The approval that was in force. answered_by: group and person. glass: group and person of an emergency access."""

    answered_by: list[tuple[str, str]]
    id: str
    glass: list[tuple[str, str]] = []


class AskedHold(msgspec.Struct, frozen=True, kw_only=True):
    """The hold that covered the action."""

    id: str
    kind: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One question, completed whatever its version. rule: code of the rule that denied before any policy was evaluated;
    empty where policies were. mapping: as `question_of` writes it; None in a question from before it was recorded.
    hold: None where there was none."""

    action: AskedAction
    context: dict[str, Any]
    principal: AskedPrincipal
    registry: str
    resource: AskedResource
    approval: AskedApproval | None = None
    hold: AskedHold | None = None
    mandate_state: str = "open"
    mapping: list[tuple[str, ArgumentType, bool, str]] | None = []
    rule: str = ""

    def mappings(self) -> tuple[ArgumentMapping, ...] | None:
        """Return the argument mappings of the capability, as far as needed to evaluate again; None where they are not
        recorded."""
        if self.mapping is None:
            return None
        return tuple(
            ArgumentMapping(name=name, type=kind, required=required, pointer=pointer)
            for name, kind, required, pointer in self.mapping
        )

    def approval_fact(self) -> ApprovalFact | None:
        """Return the approval as a fact for a decision."""
        if self.approval is None:
            return None
        answered = tuple((group, PrincipalId(who)) for group, who in self.approval.answered_by)
        glass = tuple((group, PrincipalId(who)) for group, who in self.approval.glass)
        return ApprovalFact(id=self.approval.id, answered_by=answered, glass=glass)


class _Version3(Asked, frozen=True, kw_only=True, tag_field="v", tag=QUESTION_VERSION):
    """A question as `question_of` writes it."""


class _Version2(Asked, frozen=True, kw_only=True, tag_field="v", tag=2):
    """A question of version 2, which omits only members that are at their defaults."""


class _Version1(Asked, frozen=True, kw_only=True, tag_field="v", tag=1):
    """A question of version 1, which states everything except the members that were not recorded at first."""

    approval: AskedApproval | None
    mandate_state: str
    rule: str
    mapping: list[tuple[str, ArgumentType, bool, str]] | None = None


class _AnyVersion(msgspec.Struct, frozen=True, kw_only=True):
    v: int


_Versions = _Version3 | _Version2 | _Version1
_DECODER: Final[msgspec.json.Decoder[_Versions]] = msgspec.json.Decoder(_Versions)
_VERSION: Final = msgspec.json.Decoder(_AnyVersion)


def read_question(text: bytes) -> Asked:
    """Parse the sealed field `question` of an entry.

    Raises Malformed: `question.malformed`, and `question.version` for one that a later version wrote.
    """
    try:
        asked = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            version = _VERSION.decode(text).v
            if not 1 <= version <= QUESTION_VERSION:
                raise OTHER_VERSION(
                    f"the question has version {version}, expected at most {QUESTION_VERSION}: use a later "
                    "release"
                ) from None
        raise QUESTION_MALFORMED(f"not a recorded question of a decision: {fault}") from None
    if isinstance(asked, _Version3):
        _fill(asked, _unsaid_in(asked))
        _fill_budget(asked)
    elif isinstance(asked, _Version2):
        _fill(asked, UNSAID)
    for member in ("arguments", "agent", "budget", "capability", "chain", "destination", "history", "task"):
        if not isinstance(asked.context.get(member), dict):
            raise QUESTION_MALFORMED(f"the question has no {shown(member)}")
    return asked


def _unsaid_in(asked: Asked) -> Mapping[str, Mapping[str, object]]:
    """Return what version 3 omits. Raises Malformed for a question without the member that others repeat."""
    agent, principal = asked.context.get("agent"), asked.principal
    owner = agent.get("owner") if isinstance(agent, dict) else None
    if not isinstance(owner, str):
        raise QUESTION_MALFORMED(f"the question has no {shown('agent')} with an owner")
    return unsaid_of(principal.environment, asked.action.kind, principal.use_case, owner)


def _fill_budget(asked: Asked) -> None:
    """Add the budget that version 3 omits, from a task that states calls."""
    task = asked.context["task"]
    calls = task.get("calls_max"), task.get("calls_used")
    if "budget" not in asked.context and all(type(one) is int for one in calls):
        asked.context["budget"] = own_calls(*calls)


def _fill(asked: Asked, unsaid_here: Mapping[str, Mapping[str, object]]) -> None:
    """Add the defaults that a version omits. Raises Malformed."""
    context = asked.context
    for member, unsaid in unsaid_here.items():
        if member == "risk" and asked.rule and member not in context:
            continue
        said = context.get(member, {})
        if not isinstance(said, dict):
            raise QUESTION_MALFORMED(f"{shown(member)} of the question is not an object")
        # Copy the lists, so that a caller who changes one for a what-if evaluation does not change the defaults.
        own = {name: [*value] if isinstance(value, list) else value for name, value in unsaid.items()}
        context[member] = {**own, **said}
    if "chain" not in context:
        task = context.get("task")
        context["chain"] = own_chain(
            asked.principal.id, task.get("principal") if isinstance(task, dict) else None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotTell:
    """Why a question cannot be evaluated without guessing. code: `question.*`."""

    code: str
    text: str


def context_under(asked: Asked, parts: PolicyParts) -> Context:
    """Return the context that a set with these parts sees. Without `risk` where a factor uses a missing fact.

    Raises Malformed (`question.malformed`).
    """
    context: Context = {name: value for name, value in asked.context.items() if name != "risk"}
    return {**context, **declared_under(asked, parts)}


def declared_under(asked: Asked, parts: PolicyParts) -> Context:
    """Return the members of the context that these parts determine: `destination`, `windows`, and `risk` as
    `context_under` says.

    Raises Malformed (`question.malformed`).
    """
    sent, now = asked.context["destination"], asked.context.get("now")
    names, kind = sent.get("names"), sent.get("type")
    if type(now) is not int or not isinstance(names, list) or not isinstance(kind, str):
        raise QUESTION_MALFORMED("the question lacks the time or the destination of the action")
    found = classed_as(
        parts.destinations, action=asked.action.kind, kind=kind, destinations=tuple(map(str, names))
    )
    made: Context = {
        "destination": {**sent, "class": found.worst, "classes": [*found.classes]},
        "windows": windows_at(parts.windows, UnixMillis(now)) if parts.windows else {},
    }
    try:
        made["risk"] = risk_of(parts.risk, {**asked.context, **made} if parts.risk else made)
    except LookupError:
        return made
    return made


def uncounted(
    asked: Asked, parts: PolicyParts, counted_by: PolicyParts | None, wanted: frozenset[str]
) -> CannotTell | None:
    """Return why the history of these trackers is unknown; None where it is known.

    counted_by: the declarations under which the question was recorded; None where unrecorded. wanted: names of trackers
    of `parts`.
    """
    then = {one.name: one for one in counted_by.trackers} if counted_by is not None else None
    for tracker in parts.trackers:
        name = tracker.name
        if name not in wanted:
            continue
        if name not in asked.context["history"]:
            return CannotTell(code=QUESTION_TRACKER_NEW.id, text=f"tracker {shown(name)} did not count yet")
        if then is None or name not in then:
            text = f"how tracker {shown(name)} counted then is not on record"
            return CannotTell(code=QUESTION_TRACKER_UNKNOWN.id, text=text)
        if then[name] != tracker:
            text = f"tracker {shown(name)} counted something else then"
            return CannotTell(code=QUESTION_TRACKER_CHANGED.id, text=text)
    return None
