"""Suggest standing rules from history: each is narrower than what was asked, and takes force only by the usual
publication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from answerable.api import suggestion_answers as answers
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.approval.suggest_rules import APPROVED_MIN, DAYS_MAX, suggest_rules

if TYPE_CHECKING:
    from answerable.api.members import AnyObject
    from answerable.apps.control_api.call import Call
    from answerable.flows.approval.suggest_rules import SuggestedRule

_DIGITS_MAX: Final = 15


@operation(
    "GET",
    "/v1/policy/suggestions",
    id="list_suggestions",
    summary="Narrower standing rules that history suggests; nothing comes into force by it",
    answer=answers.SuggestedRules,
    query=(
        ("since", TEXT, "Unix milliseconds; all without"),
        ("approved_min", TEXT, f"questions that must speak for it, {APPROVED_MIN} without"),
        ("days", TEXT, f"until the rule ends, at most {DAYS_MAX}"),
    ),
    is_long=True,
)
async def list_suggestions(call: Call) -> answers.SuggestedRules:
    """List what could be allowed without asking, judged by what people approved since a time."""
    found = await suggest_rules(
        call.walk.recorder,
        call.walk.authority.registry,
        call.walk.asking.figures,
        since=_whole(call, "since", 0),
        approved_min=_whole(call, "approved_min", APPROVED_MIN),
        days=_whole(call, "days", DAYS_MAX),
    )
    return answers.SuggestedRules(
        rules=tuple(_rule(one) for one in found.rules),
        entries=found.entries,
        size=found.size,
    )


def _rule(one: SuggestedRule) -> answers.SuggestedRule:
    return answers.SuggestedRule(
        agent=one.of.agent,
        capability=one.of.capability,
        rule=one.of.rule,
        approved=one.approved,
        people=one.people,
        waited_ms=one.waited_ms,
        entries=tuple(one.entries),
        until=instant(one.until),
        condition=one.condition,
        document=cast("AnyObject | None", one.document),
        notes=tuple(one.notes),
        why_not=one.why_not,
    )


def _whole(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise REQUEST_QUERY(f"{name} {shown(text)} is not a whole number")
    return int(text)


OPERATIONS: Final[tuple[Operation, ...]] = (list_suggestions,)
