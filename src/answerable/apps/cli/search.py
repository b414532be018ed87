"""`answerable search`: find actions, refusals and everything else in the ledger, in this data directory or in a copy of
a ledger."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from msgspec import to_builtins

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.csv_rows import print_row
from answerable.apps.cli.exit_codes import UNMET

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
        help="With --ledger: keep the index here, so that the next search reads new entries only. One that somebody "
        "else made may leave entries out.",
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
    action with its outcome, one refusal, or one event. A running server answers, by a process of its own; without one,
    the ledger's files are read. The index is kept in the data directory and may be deleted at any time.
    """
    from answerable.core.search.query import checked_limit, parsed_cursor, parsed_query
    from answerable.errors.codes.services import CLI_SEARCH

    if ledger is None and (keys is not None or index is not None):
        raise CLI_SEARCH()
    bounds = [f"{name}:{text}" for name, text in (("since", since), ("until", until)) if text]
    asked = _Asked(words=(*(words or ()), *bounds), limit=checked_limit(limit), cursor=cursor)
    # A fault in what was typed needs no server.
    parsed_query(asked.words, now=0)
    if cursor:
        parsed_cursor(cursor)
    answer = None
    if ledger is None:
        answer = _asked_server(shell, asked)
    if answer is None:
        answer = _read_files(shell, asked, ledger, keys, index)
    if as_csv:
        _print_csv(answer)
    elif shell.terminal.as_json:
        shell.terminal.json(answer)
    else:
        _show(shell.terminal, answer, asked)
    # That nothing was found says nothing about what could not be compared.
    return UNMET if answer.sealed and not answer.items else None


class _Asked(NamedTuple):
    """What is searched for."""

    words: tuple[str, ...]
    limit: int
    cursor: str


def _asked_server(shell: Shell, asked: _Asked) -> SearchAnswer | None:
    """Return the answer of the running server; None if there is no server, or it answers no searches."""
    from answerable.apps.cli.asked_index import asked_server
    from answerable.client import search_calls
    from answerable.core.search.query import joined_words

    return asked_server(
        shell,
        lambda control: search_calls.search_actions(
            control,
            q=joined_words(asked.words),
            limit=str(asked.limit),
            cursor=asked.cursor or None,
        ),
    )


def _read_files(
    shell: Shell, asked: _Asked, ledger: Path | None, keys: Path | None, index: Path | None
) -> SearchAnswer:
    """Search the ledger's files in this process, or those of a copy."""
    from answerable.core.search.query import parsed_cursor, parsed_query
    from answerable.flows.forensics.tell_hits import answer_of
    from answerable.wiring.ledger_search import own_places, places_of_copy, searching, shards_elsewhere

    query = parsed_query(asked.words, now=time.time_ns() // 1_000_000)
    after = parsed_cursor(asked.cursor) if asked.cursor else None
    places = own_places(shell.settings()) if ledger is None else places_of_copy(ledger, keys, index)
    elsewhere = shards_elsewhere(shell.settings()) if ledger is None else ()
    with shell.terminal.progress("indexing") as told, searching(places, progress=told) as found:
        page = found.search(query, limit=asked.limit, after=after)
        return answer_of(page, elsewhere=elsewhere, sealed=found.sealed(query))


def _print_csv(answer: SearchAnswer) -> None:
    from answerable.api.search_answers import SearchHit

    print_row(SearchHit.__struct_fields__)
    for one in answer.items:
        print_row(_cell(to_builtins(getattr(one, name))) for name in one.__struct_fields__)


def _cell(value: object) -> object:
    if isinstance(value, dict):
        value = [f"{name} {one}" for name, one in value.items()]
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _show(terminal: Terminal, answer: SearchAnswer, asked: _Asked) -> None:
    from answerable.apps.cli.asked_index import warn_partial
    from answerable.apps.cli.told_story import sealed_told
    from answerable.core.search.matching import sealed_fields
    from answerable.core.search.query import parsed_query

    for one in answer.items:
        terminal.heading(f"{one.at}  #{one.entry}  {one.text}")
        for detail in _details(one):
            terminal.line(f"    {detail}")
    upto = (
        f"complete up to entry {answer.entries - 1}, {answer.complete_at}"
        if answer.entries
        else "empty ledger"
    )
    warn_partial(terminal, answer)
    if answer.sealed:
        terminal.warn(sealed_told(answer.sealed))
    if not answer.happened:
        terminal.say(f"nothing has happened yet ({upto})")
    elif not answer.items and answer.next:
        terminal.say(f"none found so far; look further with --cursor {answer.next} ({upto})")
    elif not answer.items and answer.sealed:
        terminal.say(f"no entry matches in what can be read without keys ({upto})")
    elif not answer.items:
        gone = "; what was sealed for an erased subject is found by no search"
        is_sealed = sealed_fields(parsed_query(asked.words, now=0))
        terminal.say(f"no entry matches{gone if is_sealed else ''} ({upto})")
    else:
        more = f"; more with --cursor {answer.next}" if answer.next else ""
        terminal.say(f"{len(answer.items)} found{more} ({upto})")


def _details(hit: SearchHit) -> list[str]:
    found = []
    if hit.ended is not None:
        found.append(f"ended as {hit.outcome.replace('_', ' ')} at {hit.ended_at}, entry {hit.ended}")
    elif hit.outcome == "open":
        found.append("no recorded end")
    if hit.amount is not None:
        unit = f" minor units of {hit.currency}" if hit.currency else ""
        found.append(f"amount: {hit.amount}{unit}")
    if hit.resource:
        found.append(f"resource: {hit.resource}")
    if hit.destinations:
        found.append(f"sent to: {', '.join(hit.destinations)}")
    found += [f"session at the target: {name} {value}" for name, value in sorted(hit.session.items())]
    return found
