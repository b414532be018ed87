"""Report the cost of control: figures counted from the ledger, by tier and use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import stats_answers as answers
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT
from answerable.core.decision.latency import MICROS
from answerable.core.ledger.figure_cells import UNSAID, Cell
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.approval.report_statistics import report_statistics

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.decision.latency import Latency
    from answerable.core.ledger.describe_statistics import LogTold, StatisticsView
    from answerable.core.ledger.figure_cells import Group
    from answerable.core.ledger.spread import Spread

SINCE_CHARS_MAX: Final = 15


@operation(
    "GET",
    "/v1/stats",
    id="show_stats",
    summary="What control costs: actions that ran alone, were asked about or refused, by tier and use case",
    answer=answers.Stats,
    query=(("since", TEXT, "Unix milliseconds, taken back to the beginning of the hour; all without"),),
    is_long=True,
)
async def show_stats(call: Call) -> answers.Stats:
    """Return the cost and the benefit of control since a time, or since the first entry."""
    text = call.query.get("since", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= SINCE_CHARS_MAX):
        raise REQUEST_QUERY(f"{shown(text)} is not a time in Unix milliseconds")
    return told(
        await report_statistics(
            call.walk.recorder,
            call.walk.authority.registry,
            call.walk.asking.figures,
            call.walk.policies,
            since=int(text),
        )
    )


def told(found: StatisticsView) -> answers.Stats:
    """Return the figures as JSON."""
    everything = found.groups.get(UNSAID, Cell())
    unreadable = sum(cell.unreadable for cell in found.groups.values())
    groups = sorted(found.groups.keys() | found.waiting.keys())
    return answers.Stats(
        at=instant(found.at),
        since=instant(found.since) if found.since else None,
        policy_set=found.policy_set,
        registry=found.registry,
        groups=tuple(
            _group(group, found.groups.get(group, Cell()), found.waiting.get(group, 0)) for group in groups
        ),
        use_cases=_use_cases(found),
        revoked=everything.revoked,
        ended=everything.ended,
        held=everything.held,
        lifted=everything.lifted,
        drills=everything.drills,
        drills_failed=everything.drills_failed,
        untimed=everything.untimed,
        policy_changes=everything.policy_changes,
        unreadable=unreadable,
        contain_ms=_spread(everything.containing),
        logs=tuple(_log(one) for one in found.logs),
    )


def _group(group: Group, cell: Cell, waiting: int) -> answers.StatsGroup:
    return answers.StatsGroup(
        tier=group.tier,
        use_case=group.use_case,
        actions=cell.actions,
        alone=cell.alone,
        asked=cell.asked,
        refused=cell.refused,
        counted=cell.counted,
        after_approval=cell.after_approval,
        approved=cell.approved,
        denied=cell.denied,
        unanswered=cell.unanswered,
        succeeded=cell.succeeded,
        failed=cell.failed,
        not_started=cell.not_started,
        indeterminate=cell.indeterminate,
        effects=cell.effects,
        traced=cell.traced,
        untraced=cell.untraced,
        waiting=waiting,
        wait_ms=_spread(cell.waits),
        trace_us=_spread(cell.tracing),
    )


def _use_cases(found: StatisticsView) -> tuple[answers.UseCaseRow, ...]:
    """Return tasks and questions by use case: a task belongs to no single tier."""
    sums: dict[str, list[int]] = {}
    for group, cell in found.groups.items():
        of = sums.setdefault(group.use_case, [0, 0])
        of[0] += cell.tasks
        of[1] += cell.asked
    return tuple(
        answers.UseCaseRow(use_case=name, tasks=tasks, questions=questions)
        for name, (tasks, questions) in sorted(sums.items())
        if tasks or questions
    )


def _spread(found: Spread) -> answers.SpreadTimes | None:
    p50, p95 = found.at(50), found.at(95)
    if p50 is None or p95 is None:
        return None
    return answers.SpreadTimes(count=found.count, p50=p50, p95=p95, exact=found.is_exact)


def _log(log: LogTold) -> answers.LogRow:
    return answers.LogRow(
        origin=log.origin,
        entries=log.entries,
        size=log.size,
        at=instant(log.at),
        unread=log.unread,
        decisions=_latency(log.latency) if log.latency is not None and log.latency.count else None,
    )


def _latency(latency: Latency) -> answers.DecisionTimes:
    return answers.DecisionTimes(
        count=latency.count,
        p50_us_max=latency.micros_at(50),
        p95_us_max=latency.micros_at(95),
        p99_us_max=latency.micros_at(99),
        edges_us=tuple(MICROS),
        counts=tuple(latency.counts),
    )


OPERATIONS: Final[tuple[Operation, ...]] = (show_stats,)
