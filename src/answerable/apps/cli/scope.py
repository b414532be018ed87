"""`answerable scope`: count attempts outside of scope, by agent, capability, use case, rule, code and week."""

from __future__ import annotations

from typing import Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.search import Index, Keys, LedgerCopy, Since, Until

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
    from answerable.apps.cli.asked_index import answered, checked_copy
    from answerable.apps.cli.told_scope import check_scope, read_scope, show_scope
    from answerable.apps.cli.told_search import with_bounds
    from answerable.client import search_calls
    from answerable.core.search.query import joined_words

    copy = checked_copy(ledger, keys, index)
    asked = with_bounds(words or (), since=since, until=until)
    # A fault in what was typed needs no server.
    check_scope(asked, top)
    q = joined_words(asked) or None
    answer = answered(
        shell,
        copy,
        lambda control: search_calls.show_scope(control, q=q, rows=str(top)),
        lambda files: read_scope(files, asked, top),
    )
    return show_scope(shell.terminal, answer, as_csv=as_csv)
