"""`answerable search`: find actions, refusals and everything else in the ledger, in this data directory or in a copy of
a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from answerable.apps.cli.command import Shell, command

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
    from answerable.apps.cli.asked_index import answered, checked_copy
    from answerable.apps.cli.told_search import checked_search, print_found, searched_files, with_bounds
    from answerable.client import search_calls
    from answerable.core.search.query import joined_words

    copy = checked_copy(ledger, keys, index)
    # A fault in what was typed needs no server.
    asked = checked_search(with_bounds(words or (), since=since, until=until), limit=limit, cursor=cursor)
    answer = answered(
        shell,
        copy,
        lambda control: search_calls.search_actions(
            control, q=joined_words(asked.words), limit=str(asked.limit), cursor=asked.cursor or None
        ),
        lambda files: searched_files(files, asked),
    )
    return print_found(shell.terminal, answer, asked, as_csv=as_csv)
