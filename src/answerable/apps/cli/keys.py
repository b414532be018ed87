"""Key files of people and agents. Makes private keys in this process; a private key stays in its file and is never
printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from answerable.apps.cli.command import Shell, command

File = Annotated[Path, typer.Argument(help="Key file.", metavar="FILE")]
Kind = Annotated[Literal["ed25519", "p256"], typer.Option("--kind", help="Kind of key.")]
Public = Annotated[
    Path | None,
    typer.Option("--public", help="Write the public key to this file, to register it.", metavar="FILE"),
]


def register(app: typer.Typer) -> None:
    """Add the noun `key`."""
    group = typer.Typer(no_args_is_help=True, help="Key files of people and agents.")
    command(group, "new", reads=True)(new)
    command(group, "show", reads=True)(show)
    app.add_typer(group, name="key")


def new(shell: Shell, file: File, kind: Kind = "ed25519", public: Public = None) -> int | None:
    """Create a key in a file that only you can read.

    Prints the public key, which is to be registered.
    """
    from answerable.apps.cli.without_server import make_key

    return make_key(shell.terminal, file, kind=kind, public=public)


def show(shell: Shell, file: File) -> int | None:
    """Print the public key of a key file."""
    from answerable.apps.cli.without_server import show_key

    return show_key(shell.terminal, file)
