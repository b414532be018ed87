"""Count attempts outside of scope in a ledger's files, and print them: for the whole command line and for the light
one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from answerable.apps.cli.csv_rows import print_row
from answerable.apps.cli.exit_codes import UNMET
from answerable.apps.cli.told_story import complete_told
from answerable.core.search.query import parsed_query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.search_answers import ScopeAnswer, ScopeRow
    from answerable.apps.cli.terminal import Terminal
    from answerable.wiring.ledger_search import SearchPlaces

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


def count_attempts(
    terminal: Terminal, places: SearchPlaces, words: Sequence[str], *, top: int, as_csv: bool
) -> int | None:
    """Print how much was tried outside of scope. Raises Malformed (`scope.field`, `search.*`), and as `searching`."""
    from answerable.flows.forensics.count_scope import check_conditions, count_scope
    from answerable.flows.forensics.tell_hits import scope_answer
    from answerable.wiring.ledger_search import searching

    query = parsed_query(words, now=time.time_ns() // 1_000_000)
    check_conditions(query)
    with terminal.progress("indexing") as told, searching(places, progress=told) as found:
        answer = scope_answer(count_scope(found.teller(), query, rows=top))
    if as_csv:
        _print_csv(answer)
    elif terminal.as_json:
        terminal.json(answer)
    else:
        _show(terminal, answer)
    return None if answer.happened else UNMET


def _print_csv(answer: ScopeAnswer) -> None:
    print_row(("by", "name", "outside", "actions", "share", *_LIMITS, "examples"))
    whole = (answer.outside, answer.actions, answer.share, *(answer.limits.get(one, 0) for one in _LIMITS))
    print_row(("all", "", *whole, ""))
    for row in answer.rows:
        limits = (row.limits.get(one, 0) for one in _LIMITS)
        print_row((row.by, row.name, row.outside, row.actions, row.share, *limits, " ".join(row.examples)))


def _show(terminal: Terminal, answer: ScopeAnswer) -> None:
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
