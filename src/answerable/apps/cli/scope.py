"""`answerable scope`: count attempts outside of scope, by agent, capability, use case, rule, code and week."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.csv_rows import print_row
from answerable.apps.cli.exit_codes import UNMET
from answerable.apps.cli.search import Index, Keys, LedgerCopy, Since, Until

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.api.search_answers import ScopeAnswer, ScopeRow
    from answerable.apps.cli.terminal import Terminal

Words = Annotated[
    list[str] | None,
    typer.Argument(
        help="Count only actions of which this holds, as FIELD:VALUE: agent, instance, mandate, use-case, capability, "
        "server or key.",
        show_default=False,
        metavar="[FIELD:VALUE]...",
    ),
]
Top = Annotated[int, typer.Option("--top", help="Rows of each table but that of weeks.", min=1, metavar="N")]
AsCSV = Annotated[bool, typer.Option("--csv", help="Print the rows as CSV (RFC 4180), with a heading.")]
TITLES: Final = {
    "agent": "agent",
    "capability": "capability",
    "use-case": "use case",
    "rule": "rule",
    "code": "code",
    "week": "week from",
}
_LIMITS: Final = ("mandate", "delegation", "agent", "policy")
_TOLD: Final = {
    "mandate": "outside of the task",
    "delegation": "outside of what was handed on",
    "agent": "nothing that the agent may do in any task",
    "policy": "allowed by no policy",
}


def register(app: typer.Typer) -> None:
    """Add the verb `scope`."""
    command(app, "scope", reads=True, panel="What happened", example="scope agent:support-agent --since 30d")(
        scope
    )


def scope(
    shell: Shell,
    words: Words = None,
    since: Since = "",
    until: Until = "",
    top: Top = 10,
    as_csv: AsCSV = False,
    ledger: LedgerCopy = None,
    keys: Keys = None,
    index: Index = None,
) -> int | None:
    """Count how often agents tried what is outside of their scope.

    An attempt counts if its refusal says that the task, what was handed on of it, what the agent may do at all, or any
    policy does not cover it. Refusals by an organisation's own policies, by holds and by people are counted apart.
    Each share is of all actions that ran or were refused, under the same conditions.
    """
    from answerable.core.search.query import checked_limit, parsed_query
    from answerable.errors.codes.services import CLI_SEARCH
    from answerable.flows.forensics.count_scope import check_conditions

    if ledger is None and (keys is not None or index is not None):
        raise CLI_SEARCH()
    bounds = [f"{name}:{text}" for name, text in (("since", since), ("until", until)) if text]
    asked = [*(words or ()), *bounds]
    # A fault in what was typed needs no server.
    check_conditions(parsed_query(asked, now=0))
    rows = checked_limit(top)
    answer = _asked_server(shell, asked, rows) if ledger is None else None
    if answer is None:
        answer = _read_files(shell, asked, rows, ledger, keys, index)
    if as_csv:
        _print_csv(answer)
    elif shell.terminal.as_json:
        shell.terminal.json(answer)
    else:
        _show(shell.terminal, answer)
    return None if answer.happened else UNMET


def _asked_server(shell: Shell, words: list[str], rows: int) -> ScopeAnswer | None:
    """Return the answer of the running server; None if there is no server, or it answers no searches."""
    from answerable.apps.cli.asked_index import asked_server
    from answerable.client import search_calls
    from answerable.core.search.query import joined_words

    return asked_server(
        shell,
        lambda control: search_calls.show_scope(control, q=joined_words(words) or None, rows=str(rows)),
    )


def _read_files(
    shell: Shell, words: list[str], rows: int, ledger: Path | None, keys: Path | None, index: Path | None
) -> ScopeAnswer:
    """Count by the ledger's files in this process, or by those of a copy."""
    from answerable.flows.forensics.answer_questions import Standing, answered_scope
    from answerable.wiring.ledger_search import own_places, places_of_copy, searching, shards_elsewhere

    places = own_places(shell.settings()) if ledger is None else places_of_copy(ledger, keys, index)
    elsewhere = shards_elsewhere(shell.settings()) if ledger is None else ()
    with shell.terminal.progress("indexing") as told, searching(places, progress=told) as found:
        return answered_scope(
            found.teller(),
            words,
            now=time.time_ns() // 1_000_000,
            rows=rows,
            standing=Standing(elsewhere=elsewhere),
        )


def _print_csv(answer: ScopeAnswer) -> None:
    print_row(("by", "name", "outside", "actions", "share", *_LIMITS, "examples"))
    whole = (answer.outside, answer.actions, answer.share, *(answer.limits.get(one, 0) for one in _LIMITS))
    print_row(("all", "", *whole, ""))
    for row in answer.rows:
        limits = (row.limits.get(one, 0) for one in _LIMITS)
        print_row((row.by, row.name, row.outside, row.actions, row.share, *limits, " ".join(row.examples)))


def _show(terminal: Terminal, answer: ScopeAnswer) -> None:
    from answerable.apps.cli.asked_index import warn_partial
    from answerable.apps.cli.told_story import complete_told

    warn_partial(terminal, answer)
    upto = complete_told(answer.entries, answer.complete_at)
    if not answer.happened:
        terminal.say(f"nothing has happened yet ({upto})")
        return
    unrecorded = answer.unrecorded
    terminal.record(
        [
            ("actions", f"{answer.actions} that ran or were refused"),
            ("outside", f"{answer.outside}, {_percent(answer.share)} of them"),
            *((f"  {name}", f"{count}: {_TOLD[name]}") for name, count in answer.limits.items()),
            ("by policy", f"{answer.by_policy} refused by a policy of your own, not counted as outside"),
            ("other", f"{answer.other} refused for another reason: holds, people, arguments"),
            ("unrecorded", f"{unrecorded} past a quota, in no other number" if unrecorded else ""),
        ]
    )
    for by, title in TITLES.items():
        rows = [one for one in answer.rows if one.by == by]
        if any(one.outside for one in rows):
            terminal.line("")
            terminal.table(
                (title, "outside", "actions", "share", *(("change",) if by == "week" else ()), "examples"),
                _trend(rows) if by == "week" else map(_row, rows),
                empty="",
            )
    terminal.say(upto)


def _row(row: ScopeRow) -> tuple[str, ...]:
    return (
        row.name or "(none)",
        str(row.outside),
        str(row.actions),
        _percent(row.share),
        " ".join(row.examples),
    )


def _trend(rows: list[ScopeRow]) -> list[tuple[str, ...]]:
    """Return the rows of weeks, each with the change of its share against the week with actions before it."""
    found = []
    before: float | None = None
    for row in rows:
        *first, examples = _row(row)
        change = "" if before is None else f"{(row.share - before) * 100:+.2f}"
        found.append((*first, change, examples))
        before = row.share
    return found


def _percent(share: float) -> str:
    return f"{share * 100:.2f} %"
