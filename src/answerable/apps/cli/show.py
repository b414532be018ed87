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
    from answerable.apps.cli.told_name import show_name
    from answerable.errors.codes.services import CLI_SEARCH
    from answerable.wiring.ledger_search import own_places, places_of_copy

    if ledger is None and (keys is not None or index is not None):
        raise CLI_SEARCH()
    places = own_places(shell.settings()) if ledger is None else places_of_copy(ledger, keys, index)
    return show_name(shell.terminal, places, name)
