"""Report how people decide: figures by approver, rule, group and tier, each with its denominator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant
from answerable.apps.control_api.schemas import (
    COUNT,
    FLAG,
    INSTANT,
    TEXT,
    Schema,
    choice,
    nullable,
    record,
    sequence,
)
from answerable.core.ledger.figure_cells import Cell
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.approval.report_oversight import report_oversight

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.describe_oversight import Decided
    from answerable.core.ledger.spread import Spread
    from answerable.flows.approval.report_oversight import OversightTold

SINCE_CHARS_MAX: Final = 15
_COUNTS: Final = (
    "answered", "approved", "denied", "fast", "fast_looks", "busiest_hour", "asked", "waiting", "unanswered", "failed",
    "holds", "glass", "void", "tests", "caught",
)  # fmt: skip


async def show_oversight(call: Call) -> Answer:
    """Return how people decided since a time, or since the first entry."""
    text = call.query.get("since", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= SINCE_CHARS_MAX):
        raise REQUEST_QUERY(f"{shown(text)} is not a time in Unix milliseconds")
    return oversight_members(await report_oversight(call.walk, since=int(text)))


def oversight_members(told: OversightTold) -> Answer:
    """Return the figures as JSON."""
    figures = told.figures
    return {
        "log": told.origin,
        "at": instant(told.at),
        "since": instant(told.since) if told.since else None,
        "complete_from": instant(told.complete_from) if told.complete_from else None,
        "entries": told.entries,
        "size": told.size,
        "unreadable": told.unreadable,
        "tests": figures.tests,
        "caught": figures.caught,
        "unseen": figures.unseen,
        "first_look_ms": _waits(figures.views),
        "approvers": [
            _row(told.names.get(person) or person, one) for person, one in figures.approvers.items()
        ],
        "rules": [_row(name, one) for name, one in sorted(figures.rules.items())],
        "groups": [_row(name, one) for name, one in sorted(figures.groups.items())],
        "tiers": _tiers(told),
    }


def _row(name: str, one: Decided) -> JSONValue:
    return {
        "name": name,
        **{count: getattr(one, count) for count in _COUNTS},
        "p10_ms": one.times.at(10),
        "p50_ms": one.times.at(50),
        "looks": one.looks.count,
        "look_p10_ms": one.looks.at(10),
        "look_p50_ms": one.looks.at(50),
        "first_look_ms": _waits(one.views),
        "verdict": one.verdict,
        "may_go": one.may_go,
        "entries": [*one.entries],
    }


def _tiers(told: OversightTold) -> list[JSONValue]:
    tiers: dict[str, Cell] = {}
    tasks = 0
    for group, cell in told.tiers.groups.items():
        tasks += cell.tasks
        tiers.setdefault(group.tier, Cell()).join(cell)
    return [
        {
            "tier": tier,
            "actions": cell.actions,
            "alone": cell.alone,
            "asked": cell.asked,
            "tasks": tasks,
            "wait_ms": _waits(cell.waits),
        }
        for tier, cell in sorted(tiers.items())
        if cell.actions
    ]


def _waits(waits: Spread) -> JSONValue:
    p50, p95 = waits.at(50), waits.at(95)
    return {"count": waits.count, "p50": p50, "p95": p95} if p50 is not None and p95 is not None else None


_WAITS: Final = nullable(record(dict.fromkeys(("count", "p50", "p95"), COUNT)))
_ROW: Final = record(
    {
        "name": TEXT,
        **dict.fromkeys(_COUNTS, COUNT),
        "p10_ms": nullable(COUNT),
        "p50_ms": nullable(COUNT),
        "looks": COUNT,
        "look_p10_ms": nullable(COUNT),
        "look_p50_ms": nullable(COUNT),
        "first_look_ms": _WAITS,
        "verdict": choice("ok", "warn", "fail", "no_data"),
        "may_go": FLAG,
        "entries": sequence(COUNT),
    }
)
COMPONENTS: Final[dict[str, Schema]] = {
    "Oversight": record(
        {
            "log": TEXT,
            "at": INSTANT,
            "since": nullable(INSTANT),
            "complete_from": nullable(INSTANT),
            **dict.fromkeys(("entries", "size", "unreadable", "tests", "caught", "unseen"), COUNT),
            "first_look_ms": _WAITS,
            "approvers": sequence(_ROW),
            "rules": sequence(_ROW),
            "groups": sequence(_ROW),
            "tiers": sequence(
                record(
                    {
                        "tier": TEXT,
                        **dict.fromkeys(("actions", "alone", "asked", "tasks"), COUNT),
                        "wait_ms": _WAITS,
                    }
                )
            ),
        }
    )
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="show_oversight",
        method="GET",
        path="/v1/oversight",
        summary="How people decide: by approver, rule, group and tier, with tests that were caught or were not",
        answer="Oversight",
        query=(("since", TEXT, "Unix milliseconds; all without"),),
        run=show_oversight,
    ),
)
