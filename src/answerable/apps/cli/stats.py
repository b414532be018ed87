"""`answerable stats`: the cost of control by tier and use case, optionally compared with a baseline from before a
policy change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from msgspec import to_builtins

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.policy_simulation import millis_back

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.apps.cli.stats_baseline import Stats

Since = Annotated[
    str,
    typer.Option("--since", help="Period, in whole hours, such as 24h or 7d; or `all`.", metavar="TIME"),
]
Save = Annotated[
    Path | None,
    typer.Option(
        "--save", help="Save the figures to this file as a baseline.", show_default=False, metavar="FILE"
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against", help="Print the differences from this baseline.", show_default=False, metavar="FILE"
    ),
]

NO_DATA: Final = "no data"
_MS: Final = ((1_000, "s"), (60_000, "min"), (3_600_000, "h"))


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(app, "stats", reads=True, panel="What happened")(stats)


def stats(shell: Shell, since: Since = "7d", save: Save = None, against: Against = None) -> int | None:
    """The cost of control: how many actions ran without approval, needed one or were refused, and how long people took.

    Counted from the ledgers of all processes. With --save the figures become a baseline; with --against they are
    compared with one, for a change of policy.
    """
    from answerable.apps.cli.stats_baseline import compared, read_baseline, stats_of, write_baseline
    from answerable.client import stats_calls

    before = read_baseline(against) if against is not None else None
    with shell.control() as control:
        answer = stats_calls.show_stats(control, since=str(millis_back(since)))
    found: dict[str, Any] = to_builtins(answer)
    now = stats_of(found)
    if save is not None:
        write_baseline(save, found)
        shell.terminal.say(f"written to {save}")
    rows = compared(before, now) if before is not None else []
    if shell.terminal.as_json:
        shell.terminal.json(found if before is None else {**found, "against": rows})
        return None
    _show(shell, now)
    if before is not None:
        _show_against(shell, before, now, rows)
    return None


def share(part: int, whole: int) -> str:
    """Return a percentage. A share of nothing is no data; a share that is not 0 or 100 % is never rounded to either."""
    if not whole:
        return NO_DATA
    percent = part * 100 / whole
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %"


def length(milliseconds: int | None) -> str:
    """Return a human-readable duration."""
    if milliseconds is None:
        return NO_DATA
    told = f"{milliseconds} ms"
    for size, unit in _MS:
        if milliseconds >= size:
            told = f"{milliseconds / size:.1f} {unit}"
    return told


def _show(shell: Shell, now: Stats) -> None:
    terminal = shell.terminal
    terminal.line(f"since {now.since or 'the first entry'}, policy set {now.policy_set}")
    rows = [
        (
            one.tier or "not said",
            one.use_case or "not said",
            one.actions,
            share(one.alone, one.actions),
            share(one.asked, one.actions),
            share(one.refused + one.counted, one.actions),
            length(one.wait_ms.p50 if one.wait_ms else None),
            length(one.wait_ms.p95 if one.wait_ms else None),
            one.waiting,
            one.effects,
            share(one.traced, one.traced + one.untraced),
        )
        for one in now.groups
        if one.actions or one.effects
    ]
    columns = ("tier", "use case", "actions", "alone", "asked", "refused", "wait p50", "wait p95")
    terminal.table((*columns, "waiting", "effects", "traced"), rows, empty="no actions: no data")
    tasks = [(one.use_case or "not said", one.tasks, one.questions, one.per_task()) for one in now.use_cases]
    if tasks:
        terminal.table(("use case", "tasks", "questions", "per task"), tasks, empty="")
    terminal.record([*_notes(now)])
    for text in _warnings(now):
        terminal.warn(text)


def _notes(now: Stats) -> Iterable[tuple[str, object]]:
    effects = sum(one.effects for one in now.groups)
    sampled = sum(one.traced + one.untraced for one in now.groups)
    traced = sum(one.traced for one in now.groups)
    yield "traced to a person", f"{share(traced, sampled)} of a sample of {sampled} of {effects} effects"
    yield (
        "time to trace",
        [
            f"tier {one.tier or 'not said'}, {one.use_case or 'not said'}: p50 {one.trace_us.p50} µs, p95 "
            f"{one.trace_us.p95} µs"
            for one in now.groups
            if one.trace_us is not None
        ]
        or NO_DATA,
    )
    yield (
        "decisions took",
        [f"{one.origin}: {one.decisions.told() if one.decisions else NO_DATA}" for one in now.logs],
    )
    stops = (("revoked", now.revoked), ("instances ended", now.ended), ("holds", now.held))
    yield "stops", ", ".join(f"{count} {what}" for what, count in stops)
    yield "drills", f"{now.drills}, {now.drills_failed} of them not passed" if now.drills else NO_DATA
    contained = now.contain_ms
    yield (
        "time to contain",
        (
            f"p50 {length(contained.p50)}, p95 {length(contained.p95)}, of {contained.count}"
            if contained
            else NO_DATA
        ),
    )


def _warnings(now: Stats) -> Iterable[str]:
    if now.policy_changes:
        yield f"the figures cover more than one policy set: changes in this period: {now.policy_changes}"
    if now.untimed:
        yield f"{now.untimed} stops came too late for more actions than an entry lists: their times are missing"
    if now.unreadable:
        yield f"{now.unreadable} entries cannot be read and are not counted"
    for one in now.logs:
        if one.unread:
            yield f"{one.origin} was counted by another version and is not included"
        elif one.size is None:
            yield f"{one.origin}: state of {one.at}"
        elif one.entries < one.size:
            yield f"{one.origin}: {one.entries} of {one.size} entries are counted so far; try again later"


def _show_against(shell: Shell, before: Stats, now: Stats, rows: list[dict[str, Any]]) -> None:
    shell.terminal.heading(f"against {before.at}, since {before.since or 'the first entry'}")
    if before.policy_set == now.policy_set:
        shell.terminal.say("both have the same policy set")
    else:
        shell.terminal.line(f"policy set {before.policy_set} then, {now.policy_set} now")
    told = [
        (one["tier"] or "not said", one["use_case"] or "not said", one["what"], *_sides(one))
        for one in rows
        if one["then"] != one["now"]
    ]
    columns = ("tier", "use case", "what", "then", "now", "difference")
    shell.terminal.table(columns, told, empty="nothing differs" if rows else NO_DATA)
    if told and len(told) < len(rows):
        shell.terminal.say(f"{len(rows) - len(told)} others are unchanged")


def _sides(row: dict[str, Any]) -> tuple[str, str, str]:
    then, now = row["then"], row["now"]
    if row["unit"] == "ms":
        gap = f"{now - then:+d} ms" if then is not None and now is not None else NO_DATA
        return length(then), length(now), gap
    unit = " %" if row["unit"] == "%" else ""
    sides = [NO_DATA if one is None else f"{one:.1f}{unit}" for one in (then, now)]
    gap = f"{now - then:+.1f}" if then is not None and now is not None else NO_DATA
    return sides[0], sides[1], gap if gap == NO_DATA or not unit else f"{gap} points"
