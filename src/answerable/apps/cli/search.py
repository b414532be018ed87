"""`answerable search`: find actions, refusals and everything else in the ledger, in this data directory or in a copy of
a ledger."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.csv_rows import print_row

if TYPE_CHECKING:
    from answerable.api.search_answers import SearchAnswer, SearchHit
    from answerable.apps.cli.terminal import Terminal

Words = Annotated[
    list[str] | None,
    typer.Argument(
        help="What must hold of an entry, as FIELD:VALUE; all of it. Fields: docs/reference/search.md.",
        show_default=False,
        metavar="[FIELD:VALUE]...",
    ),
]
Since = Annotated[
    str,
    typer.Option(
        "--since",
        help="At or after: a time, or as long ago as 90m, 24h, 7d.",
        show_default=False,
        metavar="TIME",
    ),
]
Until = Annotated[
    str,
    typer.Option(
        "--until", help="Before: a time, or as long ago as 90m, 24h, 7d.", show_default=False, metavar="TIME"
    ),
]
Limit = Annotated[int, typer.Option("--limit", help="Hits of a page, at most 1000.", metavar="N")]
After = Annotated[
    str,
    typer.Option(
        "--cursor",
        help="Continue after an earlier answer, by its `next`.",
        show_default=False,
        metavar="CURSOR",
    ),
]
AsCSV = Annotated[bool, typer.Option("--csv", help="Print the hits as CSV (RFC 4180), with a heading.")]
LedgerCopy = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        help="Search this ledger directory, or a copy of one; sealed fields stay sealed without --keys.",
        show_default=False,
        metavar="DIR",
    ),
]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        help="With --ledger: decrypt with the subject keys of this data directory, or a copy of one.",
        show_default=False,
        metavar="DIR",
    ),
]
Index = Annotated[
    Path | None,
    typer.Option(
        "--index",
        help="With --ledger: keep the index here, so that the next search reads new entries only.",
        show_default=False,
        metavar="DIR",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb `search`."""
    command(
        app,
        "search",
        reads=True,
        panel="What happened",
        example="search agent:support-agent outcome:refused --since 7d",
    )(search)


def search(
    shell: Shell,
    words: Words = None,
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
    cursor: After = "",
    as_csv: AsCSV = False,
    ledger: LedgerCopy = None,
    keys: Keys = None,
    index: Index = None,
) -> int | None:
    """Find what happened, newest first.

    Words such as `agent:NAME resource:ID` must all hold; several words of one field mean any of them. One hit is one
    action with its outcome, one refusal, or one event. Reads the ledger's files beside a running server; the index is
    kept in the data directory and may be deleted at any time.
    """
    from answerable.core.search.query import checked_limit, parsed_cursor, parsed_query
    from answerable.errors.codes.services import CLI_SEARCH
    from answerable.flows.forensics.tell_hits import answer_of
    from answerable.wiring.ledger_search import own_places, places_of_copy, searching

    if ledger is None and (keys is not None or index is not None):
        raise CLI_SEARCH()
    bounds = [f"{name}:{text}" for name, text in (("since", since), ("until", until)) if text]
    query = parsed_query([*(words or ()), *bounds], now=time.time_ns() // 1_000_000)
    count, after = checked_limit(limit), parsed_cursor(cursor) if cursor else None
    places = own_places(shell.settings()) if ledger is None else places_of_copy(ledger, keys, index)
    with shell.terminal.progress("indexing") as told, searching(places, progress=told) as found:
        answer = answer_of(found.search(query, limit=count, after=after))
    if as_csv:
        _print_csv(answer)
    elif shell.terminal.as_json:
        shell.terminal.json(answer)
    else:
        _show(shell.terminal, answer)
    return None


def _print_csv(answer: SearchAnswer) -> None:
    from answerable.api.search_answers import SearchHit

    print_row(SearchHit.__struct_fields__)
    for one in answer.items:
        print_row(_cell(to_builtins(getattr(one, name))) for name in one.__struct_fields__)


def _cell(value: object) -> object:
    if isinstance(value, dict):
        value = [f"{name} {one}" for name, one in value.items()]
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _show(terminal: Terminal, answer: SearchAnswer) -> None:
    for one in answer.items:
        terminal.heading(f"{one.at}  #{one.entry}  {one.text}")
        for detail in _details(one):
            terminal.line(f"    {detail}")
    upto = (
        f"complete up to entry {answer.entries - 1}, {answer.complete_at}"
        if answer.entries
        else "empty ledger"
    )
    if not answer.happened:
        terminal.say(f"nothing has happened yet ({upto})")
    elif not answer.items:
        terminal.say(f"no entry matches ({upto})")
    else:
        more = f"; more with --cursor {answer.next}" if answer.next else ""
        terminal.say(f"{len(answer.items)} found{more} ({upto})")


def _details(hit: SearchHit) -> list[str]:
    found = []
    if hit.ended is not None:
        found.append(f"ended as {hit.outcome.replace('_', ' ')} at {hit.ended_at}, entry {hit.ended}")
    elif hit.outcome == "open":
        found.append("no recorded end")
    if hit.resource:
        found.append(f"resource: {hit.resource}")
    if hit.destinations:
        found.append(f"sent to: {', '.join(hit.destinations)}")
    found += [f"session at the target: {name} {value}" for name, value in sorted(hit.session.items())]
    return found
