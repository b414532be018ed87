"""Report how people decide: figures by approver, rule, group and tier, each with its denominator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import oversight_answers as answers
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT
from answerable.core.ledger.figure_cells import Cell
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.approval.report_oversight import report_oversight

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.ledger.describe_oversight import Decided
    from answerable.core.ledger.spread import Spread
    from answerable.flows.approval.report_oversight import OversightTold

SINCE_CHARS_MAX: Final = 15


@operation(
    "GET",
    "/v1/oversight",
    id="show_oversight",
    summary="How people decide: by approver, rule, group and tier, with tests that were caught or were not",
    answer=answers.Oversight,
    query=(("since", TEXT, "Unix milliseconds; all without"),),
    is_long=True,
)
async def show_oversight(call: Call) -> answers.Oversight:
    """Return how people decided since a time, or since the first entry."""
    text = call.query.get("since", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= SINCE_CHARS_MAX):
        raise REQUEST_QUERY(f"{shown(text)} is not a time in Unix milliseconds")
    return oversight_members(
        await report_oversight(
            call.walk.recorder,
            call.walk.authority.registry,
            call.walk.asking.figures,
            call.walk.policies,
            since=int(text),
        )
    )


def oversight_members(told: OversightTold) -> answers.Oversight:
    """Return the figures as JSON."""
    figures = told.figures
    return answers.Oversight(
        log=told.origin,
        at=instant(told.at),
        since=instant(told.since) if told.since else None,
        complete_from=instant(told.complete_from) if told.complete_from else None,
        entries=told.entries,
        size=told.size,
        unreadable=told.unreadable,
        tests=figures.tests,
        caught=figures.caught,
        unseen=figures.unseen,
        first_look_ms=_waits(figures.views),
        approvers=tuple(
            _row(told.names.get(person) or person, one) for person, one in figures.approvers.items()
        ),
        rules=tuple(_row(name, one) for name, one in sorted(figures.rules.items())),
        groups=tuple(_row(name, one) for name, one in sorted(figures.groups.items())),
        tiers=_tiers(told),
    )


def _row(name: str, one: Decided) -> answers.DecidedRow:
    return answers.DecidedRow(
        name=name,
        answered=one.answered,
        approved=one.approved,
        denied=one.denied,
        fast=one.fast,
        fast_looks=one.fast_looks,
        busiest_hour=one.busiest_hour,
        asked=one.asked,
        waiting=one.waiting,
        unanswered=one.unanswered,
        failed=one.failed,
        holds=one.holds,
        glass=one.glass,
        void=one.void,
        tests=one.tests,
        caught=one.caught,
        p10_ms=one.times.at(10),
        p50_ms=one.times.at(50),
        looks=one.looks.count,
        look_p10_ms=one.looks.at(10),
        look_p50_ms=one.looks.at(50),
        first_look_ms=_waits(one.views),
        verdict=one.verdict,
        may_go=one.may_go,
        entries=tuple(one.entries),
    )


def _tiers(told: OversightTold) -> tuple[answers.TierRow, ...]:
    tiers: dict[str, Cell] = {}
    tasks = 0
    for group, cell in told.tiers.groups.items():
        tasks += cell.tasks
        tiers.setdefault(group.tier, Cell()).join(cell)
    return tuple(
        answers.TierRow(
            tier=tier,
            actions=cell.actions,
            alone=cell.alone,
            asked=cell.asked,
            tasks=tasks,
            wait_ms=_waits(cell.waits),
        )
        for tier, cell in sorted(tiers.items())
        if cell.actions
    )


def _waits(waits: Spread) -> answers.WaitTimes | None:
    p50, p95 = waits.at(50), waits.at(95)
    if p50 is None or p95 is None:
        return None
    return answers.WaitTimes(count=waits.count, p50=p50, p95=p95)


OPERATIONS: Final[tuple[Operation, ...]] = (show_oversight,)
