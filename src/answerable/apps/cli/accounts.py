"""`answerable account list`: the accounts at targets, each with its class, its users and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.search import Index, Keys, LedgerCopy

Target = Annotated[
    str, typer.Option("--target", help="Only at this target.", metavar="NAME", show_default=False)
]
Seen = Annotated[
    Path | None,
    typer.Option(
        "--seen",
        help="With --ledger: accounts that `attribute --seen` kept. The server's are in the data directory, in "
        "`seen-accounts.json`.",
        show_default=False,
        metavar="FILE",
    ),
]
AsCSV = Annotated[bool, typer.Option("--csv", help="Print the accounts as CSV (RFC 4180), with a heading.")]


def register(app: typer.Typer) -> None:
    """Add the noun `account`."""
    group = typer.Typer(no_args_is_help=True, help="Accounts at targets: whose they are, and who used them.")
    command(group, "list", reads=True, example="account list --target shop-db")(list_accounts)
    app.add_typer(group, name="account")


def list_accounts(
    shell: Shell,
    target: Target = "",
    as_csv: AsCSV = False,
    seen: Seen = None,
    ledger: LedgerCopy = None,
    keys: Keys = None,
    index: Index = None,
) -> int | None:
    """The accounts at targets, each with its class, who used it, and what to do next.

    *unknown*: a target's log names it, and nobody declared it. *static*: a secret of the broker's own. *shared*:
    several leases had it. *task*, *action*: made for one task or one action; these are one line for each target. The
    exit code is 5 where an account is unknown, or was used past the broker, and 6 where some are missing, or nothing is
    known of the target.
    """
    from answerable.apps.cli.asked_index import answered, checked_copy
    from answerable.apps.cli.told_accounts import read_accounts, show_accounts
    from answerable.client import search_calls

    answer = answered(
        shell,
        checked_copy(ledger, keys, index, seen),
        lambda control: search_calls.list_accounts(control, target=target or None),
        lambda files: read_accounts(files, target),
    )
    return show_accounts(shell.terminal, answer, as_csv=as_csv, target=target)
