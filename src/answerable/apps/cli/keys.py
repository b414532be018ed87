"""Key files of people and agents. Makes private keys in this process; a private key stays in its file and is never
printed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from answerable.apps.cli.command import Shell, command
from answerable.errors.codes.services import CLI_PUBLIC_EXISTS

if TYPE_CHECKING:
    from answerable.core.identity.keys.keys import Algorithm, SigningKey

File = Annotated[Path, typer.Argument(help="Key file.", metavar="FILE")]
Kind = Annotated[Literal["ed25519", "p256"], typer.Option("--kind", help="Kind of key.")]
Public = Annotated[
    Path | None,
    typer.Option("--public", help="Write the public key to this file, to register it.", metavar="FILE"),
]

_ALGORITHMS: Final[dict[str, Algorithm]] = {"ed25519": "ed25519", "p256": "ecdsa-p256-sha256"}


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
    from answerable.core.identity.keys.keys import SEED_BYTES
    from answerable.sdk.keyfile import create_key

    if public is not None and public.exists():
        raise CLI_PUBLIC_EXISTS(f"{public.name} already exists and is not overwritten")
    algorithm = _ALGORITHMS[kind]
    key = create_key(file, seed=os.urandom(SEED_BYTES[algorithm]), algorithm=algorithm)
    if public is not None:
        public.write_text(f"{key.public.jwk}\n")
    _show(shell, key)
    return None


def show(shell: Shell, file: File) -> int | None:
    """Print the public key of a key file."""
    from answerable.sdk.keyfile import load_key

    _show(shell, load_key(file))
    return None


def _show(shell: Shell, key: SigningKey) -> None:
    if shell.terminal.as_json:
        shell.terminal.json({"jwk": json.loads(key.public.jwk), "thumbprint": key.public.thumbprint})
        return
    shell.terminal.line(key.public.jwk)
    shell.terminal.say(f"thumbprint {key.public.thumbprint}")
