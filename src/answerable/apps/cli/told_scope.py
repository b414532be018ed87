"""Count attempts outside of scope and print them: for the whole command line and for the light one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.cli.asked_index import complete_told, warn_partial
from answerable.apps.cli.csv_rows import check_form, print_row
from answerable.apps.cli.exit_codes import UNMET
from answerable.core.search.query import checked_limit, parsed_query
from answerable.ports.search_process import SCOPE, ScopeQuestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.search_answers import ScopeAnswer, ScopeRow
    from answerable.apps.cli.terminal import Terminal
    from answerable.wiring.log_index import LogIndex

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


def check_scope(words: Sequence[str], rows: int) -> None:
    """Raises Malformed (`scope.field`, `search.*`) for a question that cannot be asked."""
    from answerable.flows.forensics.count_scope import check_conditions

    check_conditions(parsed_query(words, now=0))
    checked_limit(rows)


def read_scope(index: LogIndex, words: Sequence[str], rows: int) -> ScopeAnswer:
    """Return how much was tried outside of scope, by the files of a ledger. Raises as `check_scope` and `LogIndex`."""
    check_scope(words, rows)
    return index.ask(SCOPE, ScopeQuestion(words=tuple(words), rows=rows))


def show_scope(terminal: Terminal, answer: ScopeAnswer, *, as_csv: bool) -> int | None:
    """Print how much was tried outside of scope, and return the exit code. Raises as `check_form`."""
    check_form(terminal, as_csv=as_csv)
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
    warn_partial(terminal, answer)
    upto = complete_told(answer)
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
