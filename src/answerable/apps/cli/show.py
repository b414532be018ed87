"""`answerable show`: what any id stands for, and what belongs to it."""

from __future__ import annotations

from typing import Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.search import Index, Keys, LedgerCopy

Id = Annotated[
    str,
    typer.Argument(
        help="Any id, name or digest that is shown anywhere, the index of an entry, or the beginning of a name; "
        "KIND:NAME where a name is of several kinds.",
        show_default=False,
        metavar="ID",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb `show`."""
    command(app, "show", reads=True, panel="What happened", example="show mandate:01J9ZK4T7Q")(show)


def show(
    shell: Shell, name: Id, ledger: LedgerCopy = None, keys: Keys = None, index: Index = None
) -> int | None:
    """What an id stands for, and what belongs to it.

    Of an action, approval, mandate, hold, lease, token, instance, key, manifest, person, agent, capability, server,
    resource, session or entry: what happened to it, its actions by outcome, whose they were, and the newest of them.
    What the product issued comes before what people declared, and that before what callers wrote. Where the id may
    still be several things, they are listed.
    """
    from answerable.apps.cli.asked_index import answered, checked_copy
    from answerable.apps.cli.told_name import read_name, show_name
    from answerable.client import search_calls
    from answerable.core.search.names import parsed_names

    copy = checked_copy(ledger, keys, index)
    # A fault in what was typed needs no server.
    parsed_names([name], now=0)
    answer = answered(
        shell,
        copy,
        lambda control: search_calls.show_name(control, name),
        lambda files: read_name(files, name),
    )
    return show_name(shell.terminal, answer, name)
