"""Suggest standing rules from history: each is narrower than what was asked, and takes force only by the usual
publication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant
from answerable.apps.control_api.schemas import (
    COUNT,
    INSTANT,
    TEXT,
    TEXTS,
    Schema,
    nullable,
    record,
    sequence,
)
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.approval.suggest_rules import APPROVED_MIN, DAYS_MAX, suggest_rules

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.canonical import JSONValue
    from answerable.flows.approval.suggest_rules import SuggestedRule

_DIGITS_MAX: Final = 15


async def list_suggestions(call: Call) -> Answer:
    """List what could be allowed without asking, judged by what people approved since a time."""
    found = await suggest_rules(
        call.walk,
        since=_whole(call, "since", 0),
        approved_min=_whole(call, "approved_min", APPROVED_MIN),
        days=_whole(call, "days", DAYS_MAX),
    )
    return {
        "rules": [_rule(one) for one in found.rules],
        "entries": found.entries,
        "size": found.size,
    }


def _rule(one: SuggestedRule) -> JSONValue:
    return {
        "agent": one.of.agent,
        "capability": one.of.capability,
        "rule": one.of.rule,
        "approved": one.approved,
        "people": one.people,
        "waited_ms": one.waited_ms,
        "entries": [*one.entries],
        "until": instant(one.until),
        "condition": one.condition,
        "document": one.document,
        "notes": [*one.notes],
        "why_not": one.why_not,
    }


def _whole(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise REQUEST_QUERY(f"{name} {shown(text)} is not a whole number")
    return int(text)


COMPONENTS: Final[dict[str, Schema]] = {
    "SuggestedRules": record(
        {
            "rules": sequence(
                record(
                    {
                        "agent": TEXT,
                        "capability": TEXT,
                        "rule": TEXT,
                        "approved": COUNT,
                        "people": COUNT,
                        "waited_ms": COUNT,
                        "entries": sequence(COUNT),
                        "until": INSTANT,
                        "condition": TEXT,
                        "document": nullable({"type": "object"}),
                        "notes": TEXTS,
                        "why_not": TEXT,
                    }
                )
            ),
            "entries": COUNT,
            "size": COUNT,
        }
    )
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="list_suggestions",
        method="GET",
        path="/v1/policy/suggestions",
        summary="Narrower standing rules that history suggests; nothing comes into force by it",
        answer="SuggestedRules",
        query=(
            ("since", TEXT, "Unix milliseconds; all without"),
            ("approved_min", TEXT, f"questions that must speak for it, {APPROVED_MIN} without"),
            ("days", TEXT, f"until the rule ends, at most {DAYS_MAX}"),
        ),
        run=list_suggestions,
    ),
)
