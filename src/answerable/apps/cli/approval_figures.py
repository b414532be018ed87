"""`answerable approval figures`: how approvers decide, and whether asking them detects anything."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.policy_simulation import millis_back
from answerable.apps.cli.stats import NO_DATA, length, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.api.oversight_answers import DecidedRow, Oversight, WaitTimes


class By(StrEnum):
    """Dimension by which the figures are grouped."""

    approver = "approver"
    rule = "rule"
    tier = "tier"
    group = "group"


Since = Annotated[
    str,
    typer.Option("--since", help="Period, such as 24h, 30d; or `all`.", metavar="TIME"),
]
Apart = Annotated[By, typer.Option("--by", help="How to group the figures.")]

_VERDICTS: Final = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "no_data": NO_DATA}


def register(group: typer.Typer) -> None:
    """Add the verb to the noun `approval`."""
    command(group, "figures", reads=True, example="approval figures --since 7d --by rule")(figures)


def figures(shell: Shell, since: Since = "30d", by: Apart = By.approver) -> int | None:
    """How people decide: share of approvals, time to answer, and tests that they detected.

    Counted from the ledger of this server. A share of too few is `no data`, never a pass.
    """
    from answerable.client import oversight_calls

    with shell.control() as control:
        found = oversight_calls.show_oversight(control, since=str(millis_back(since)))
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return None
    {By.approver: _people, By.rule: _rules, By.tier: _tiers, By.group: _groups}[by](shell, found)
    tests = found.tests - found.unseen
    shell.terminal.record(
        [
            ("tests", f"{found.tests}, {found.unseen} of them not answered"),
            ("caught", f"{share(found.caught, tests)} of {tests} answered"),
            ("first look", _first_look(found.first_look_ms)),
        ]
    )
    for text in _warnings(found):
        shell.terminal.warn(text)
    return None


def _first_look(found: WaitTimes | None) -> str:
    if found is None:
        return f"{NO_DATA} of when questions that were answered were opened"
    told = f"p50 {length(found.p50)}, p95 {length(found.p95)} after asking"
    return f"{told}; of {found.count} questions that were answered"


def _people(shell: Shell, found: Oversight) -> None:
    rows = [
        (one.name, *_shares(one), length(one.look_p50_ms), one.busiest_hour, *_verdict(one))
        for one in found.approvers
    ]
    columns = (
        "approver", "answers", "yes", "p50", "p10", "<3 s", "p50 from opening", "most in an hour", "tests caught",
        "AP-04",
    )  # fmt: skip
    shell.terminal.table(columns, rows, empty="no answers: no data")


def _rules(shell: Shell, found: Oversight) -> None:
    rows = [
        (one.name, one.asked, *_shares(one)[1:3], one.waiting, one.unanswered, *_verdict(one))
        for one in found.rules
    ]
    columns = ("rule", "questions", "yes", "p50", "waiting", "unanswered", "tests caught", "AP-04")
    shell.terminal.table(columns, rows, empty="no rule has asked people: no data")
    for one in found.rules:
        if one.may_go:
            shell.terminal.say(
                f"{one.name} may not be needed: all of {one.approved} questions were approved, and nothing bad "
                "came of any"
            )


def _groups(shell: Shell, found: Oversight) -> None:
    rows = [
        (one.name, one.asked, *_shares(one)[1:3], one.waiting, one.unanswered, *_verdict(one)[:1])
        for one in found.groups
    ]
    columns = ("group", "questions", "yes", "p50", "waiting", "unanswered", "tests caught")
    shell.terminal.table(columns, rows, empty="no group was asked: no data")


def _tiers(shell: Shell, found: Oversight) -> None:
    rows = [
        (
            one.tier or "not said",
            one.actions,
            share(one.alone, one.actions),
            one.asked,
            length(one.wait_ms.p50 if one.wait_ms else None),
            length(one.wait_ms.p95 if one.wait_ms else None),
            f"{one.asked / one.tasks:.2f}" if one.tasks else NO_DATA,
        )
        for one in found.tiers
    ]
    columns = ("tier", "actions", "alone", "questions", "wait p50", "wait p95", "questions per task")
    shell.terminal.table(columns, rows, empty="no actions: no data")


def _shares(one: DecidedRow) -> tuple[object, ...]:
    answered = one.answered
    return (
        answered,
        share(one.approved, answered),
        length(one.p50_ms),
        length(one.p10_ms),
        share(one.fast, answered),
    )


def _verdict(one: DecidedRow) -> tuple[str, str]:
    return f"{one.caught} of {one.tests}", _VERDICTS[one.verdict]


def _warnings(found: Oversight) -> Iterator[str]:
    if found.entries < found.size:
        yield f"{found.entries} of {found.size} entries are read so far; try again later"
    if found.complete_from:
        yield f"questions from before {found.complete_from} are not all included"
    if found.unreadable:
        yield f"{found.unreadable} entries cannot be read and are not counted"
