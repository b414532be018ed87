"""Report the cost of control: figures counted from the ledger, by tier and use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant
from answerable.apps.control_api.schemas import (
    COUNT,
    DIGEST,
    FLAG,
    INSTANT,
    TEXT,
    Schema,
    nullable,
    record,
    sequence,
)
from answerable.core.decision.latency import MICROS
from answerable.core.ledger.figure_cells import UNSAID, Cell
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.approval.report_statistics import report_statistics

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.latency import Latency
    from answerable.core.ledger.describe_statistics import LogTold, StatisticsView
    from answerable.core.ledger.figure_cells import Group
    from answerable.core.ledger.spread import Spread

_OF_ACTIONS: Final = (
    "actions", "alone", "asked", "refused", "counted", "after_approval", "approved", "denied", "unanswered",
    "succeeded", "failed", "not_started", "indeterminate", "effects", "traced", "untraced",
)  # fmt: skip
_OF_ALL: Final = (
    "revoked", "ended", "held", "lifted", "drills", "drills_failed", "untimed", "policy_changes", "unreadable",
)  # fmt: skip
SINCE_CHARS_MAX: Final = 15


async def show_stats(call: Call) -> Answer:
    """Return the cost and the benefit of control since a time, or since the first entry."""
    text = call.query.get("since", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= SINCE_CHARS_MAX):
        raise REQUEST_QUERY(f"{shown(text)} is not a time in Unix milliseconds")
    return told(await report_statistics(call.walk, since=int(text)))


def told(found: StatisticsView) -> Answer:
    """Return the figures as JSON."""
    everything = found.groups.get(UNSAID, Cell())
    unreadable = sum(cell.unreadable for cell in found.groups.values())
    groups = sorted(found.groups.keys() | found.waiting.keys())
    return {
        "at": instant(found.at),
        "since": instant(found.since) if found.since else None,
        "policy_set": found.policy_set,
        "registry": found.registry,
        "groups": [
            _group(group, found.groups.get(group, Cell()), found.waiting.get(group, 0)) for group in groups
        ],
        "use_cases": _use_cases(found),
        **{name: getattr(everything, name) for name in _OF_ALL},
        "unreadable": unreadable,
        "contain_ms": _spread(everything.containing),
        "logs": [_log(one) for one in found.logs],
    }


def _group(group: Group, cell: Cell, waiting: int) -> JSONValue:
    return {
        "tier": group.tier,
        "use_case": group.use_case,
        **{name: getattr(cell, name) for name in _OF_ACTIONS},
        "waiting": waiting,
        "wait_ms": _spread(cell.waits),
        "trace_us": _spread(cell.tracing),
    }


def _use_cases(found: StatisticsView) -> list[JSONValue]:
    """Return tasks and questions by use case: a task belongs to no single tier."""
    sums: dict[str, list[int]] = {}
    for group, cell in found.groups.items():
        of = sums.setdefault(group.use_case, [0, 0])
        of[0] += cell.tasks
        of[1] += cell.asked
    return [
        {"use_case": name, "tasks": tasks, "questions": questions}
        for name, (tasks, questions) in sorted(sums.items())
        if tasks or questions
    ]


def _spread(found: Spread) -> JSONValue:
    p50, p95 = found.at(50), found.at(95)
    if p50 is None or p95 is None:
        return None
    return {"count": found.count, "p50": p50, "p95": p95, "exact": found.is_exact}


def _log(log: LogTold) -> JSONValue:
    return {
        "origin": log.origin,
        "entries": log.entries,
        "size": log.size,
        "at": instant(log.at),
        "unread": log.unread,
        "decisions": _latency(log.latency) if log.latency is not None and log.latency.count else None,
    }


def _latency(latency: Latency) -> JSONValue:
    return {
        "count": latency.count,
        "p50_us_max": latency.micros_at(50),
        "p95_us_max": latency.micros_at(95),
        "p99_us_max": latency.micros_at(99),
        "edges_us": list(MICROS),
        "counts": list(latency.counts),
    }


_SPREAD: Final = nullable(record({"count": COUNT, "p50": COUNT, "p95": COUNT, "exact": FLAG}))
_EDGE: Final = nullable(COUNT)
COMPONENTS: Final[dict[str, Schema]] = {
    "Stats": record(
        {
            "at": INSTANT,
            "since": nullable(INSTANT),
            "policy_set": DIGEST,
            "registry": TEXT,
            "groups": sequence(
                record(
                    {
                        "tier": TEXT,
                        "use_case": TEXT,
                        **dict.fromkeys(_OF_ACTIONS, COUNT),
                        "waiting": COUNT,
                        "wait_ms": _SPREAD,
                        "trace_us": _SPREAD,
                    }
                )
            ),
            "use_cases": sequence(record({"use_case": TEXT, "tasks": COUNT, "questions": COUNT})),
            **dict.fromkeys(_OF_ALL, COUNT),
            "contain_ms": _SPREAD,
            "logs": sequence(
                record(
                    {
                        "origin": TEXT,
                        "entries": COUNT,
                        "size": nullable(COUNT),
                        "at": INSTANT,
                        "unread": FLAG,
                        "decisions": nullable(
                            record(
                                {
                                    "count": COUNT,
                                    "p50_us_max": _EDGE,
                                    "p95_us_max": _EDGE,
                                    "p99_us_max": _EDGE,
                                    "edges_us": sequence(COUNT),
                                    "counts": sequence(COUNT),
                                }
                            )
                        ),
                    }
                )
            ),
        }
    )
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="show_stats",
        method="GET",
        path="/v1/stats",
        summary="What control costs: actions that ran alone, were asked about or refused, by tier and use case",
        answer="Stats",
        query=(("since", TEXT, "Unix milliseconds, taken back to the beginning of the hour; all without"),),
        run=show_stats,
    ),
)
