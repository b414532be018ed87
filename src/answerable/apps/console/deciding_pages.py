"""Show how people decide: figures by tier, rule and group, and the reader's own. Other people's figures are for the
operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from answerable.core.ledger.figure_cells import Cell
from answerable.errors import AnswerableError
from answerable.flows.approval.report_oversight import report_oversight

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.core.ledger.describe_oversight import Decided
    from answerable.flows.approval.report_oversight import OversightTold

DAY_MS: Final = 86_400_000
DAYS: Final = 30
SECONDS_MAX: Final = 0.5
"""Longest wait of the page for entries that are not read yet."""
ROWS_MAX: Final = 50
_VERDICTS: Final = {
    "ok": "as it should be",
    "warn": "almost all are approved, faster than they can be read",
    "fail": "too few tests were caught",
    "no_data": "too few answers to say more",
}
_UNITS: Final = ((3_600_000, "h"), (60_000, "min"), (1_000, "s"))


async def deciding(asked: Asked) -> Response:
    """Show the page; without figures when they cannot be computed now."""
    walk, (_, person) = asked.walk, asked.who
    since = max(0, walk.clock.now() - DAYS * DAY_MS)
    try:
        told = await report_oversight(
            walk.recorder,
            walk.authority.registry,
            walk.asking.figures,
            walk.policies,
            since=since,
            seconds_max=SECONDS_MAX,
        )
    except AnswerableError:
        return asked.page("deciding.html", told=None, days=DAYS)
    figures = told.figures
    own = next((one for who, one in figures.approvers.items() if told.names[who] == person.name), None)
    return asked.page(
        "deciding.html",
        told={"tests": figures.tests, "caught": figures.caught, "unseen": figures.unseen},
        days=DAYS,
        own=_row(person.name, own) if own is not None else None,
        rules=_rows(figures.rules),
        groups=_rows(figures.groups),
        tiers=_tiers(told),
        behind=told.size - told.entries,
    )


def _rows(found: dict[str, Decided]) -> list[dict[str, Any]]:
    """Return the rows, most questions first."""
    mixed = sorted(found.items(), key=lambda one: (-one[1].asked, one[0]))
    return [_row(name, one) for name, one in mixed[:ROWS_MAX]]


def _row(name: str, one: Decided) -> dict[str, Any]:
    return {
        "name": name,
        "asked": one.asked,
        "answered": one.answered,
        "approved": one.approved,
        "share": percent(one.approved, one.answered),
        "p50": length(one.times.at(50)),
        "p10": length(one.times.at(10)),
        "fast": one.fast,
        "looks": one.looks.count,
        "look_p50": length(one.looks.at(50)),
        "fast_looks": one.fast_looks,
        "waiting": one.waiting,
        "unanswered": one.unanswered,
        "tests": one.tests,
        "caught": one.caught,
        "verdict": one.verdict,
        "says": _VERDICTS[one.verdict],
        "may_go": one.may_go,
    }


def _tiers(told: OversightTold) -> list[dict[str, Any]]:
    tiers: dict[str, Cell] = {}
    for group, cell in told.tiers.groups.items():
        tiers.setdefault(group.tier, Cell()).join(cell)
    return [
        {
            "tier": tier,
            "actions": cell.actions,
            "alone": cell.alone,
            "asked": cell.asked,
            "answered": cell.waits.at(50) is not None,
            "share": percent(cell.alone, cell.actions),
            "p50": length(cell.waits.at(50)),
            "p95": length(cell.waits.at(95)),
        }
        for tier, cell in sorted(tiers.items())
        if cell.actions
    ]


def percent(part: int, whole: int) -> int | None:
    """Return a rounded percentage, or None for a share of nothing. Less than all is never 100; more than nothing is
    never 0."""
    if not whole:
        return None
    return part * 100 // whole if part in (0, whole) else min(99, max(1, round(part * 100 / whole)))


def length(milliseconds: int | None) -> str:
    """Return a human-readable duration."""
    if milliseconds is None:
        return "no data"
    for size, unit in _UNITS:
        if milliseconds >= size:
            return f"{milliseconds / size:.1f} {unit}"
    return f"{milliseconds} ms"
