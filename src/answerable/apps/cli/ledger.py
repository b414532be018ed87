"""The ledger on the command line: verify a copy offline, read the live one, and seal it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs

from answerable.apps.cli.command import Shell, command
from answerable.errors import shown

Directory = Annotated[Path, typer.Argument(help="Ledger directory, or a copy of one.", metavar="DIR")]
VerifierKey = Annotated[
    str | None,
    typer.Option(
        "--verifier-key",
        "--key",
        help="The log's verifier key, from another source; default: the key file next to the log.",
        metavar="VKEY",
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="Whose cosignatures count, and how many (C2SP tlog-policy).", metavar="FILE"
    ),
]
Kept = Annotated[
    Path | None,
    typer.Option(
        "--kept",
        "--checkpoint",
        help="Saved checkpoints and batch heads that the log must still extend.",
        metavar="FILE",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Require a cosignature at or after this time (RFC 3339).",
        metavar="TIME",
        show_default=False,
    ),
]
Index = Annotated[
    str,
    typer.Argument(
        help="Index of the entry, from 0, also as `#5`; in the log of a shard, `b/5`.", metavar="INDEX"
    ),
]
Reveal = Annotated[
    bool, typer.Option("--reveal", help="Print arguments as stored, with the secrets among them.")
]


def register(app: typer.Typer) -> None:
    """Add the noun `ledger`."""
    group = typer.Typer(no_args_is_help=True, help="The ledger: a verifiable record of what happened.")
    command(group, "verify", reads=True)(verify)
    command(group, "status", reads=True)(status)
    command(group, "show", reads=True)(show)
    command(group, "seal", reads=True)(seal)
    app.add_typer(group, name="ledger")


def verify(
    shell: Shell,
    directory: Directory,
    key: VerifierKey = None,
    policy: PolicyFile = None,
    kept: Kept = None,
    since: Since = None,
) -> int | None:
    """Check every byte of a ledger, offline.

    Needs only the directory or a copy of it. Exit code 5 if it has a fault, which is printed with its entry; 6 if
    it has none, but the cosignatures that --policy or --since requires are missing.
    """
    from answerable.apps.cli.without_server import verify_copy

    return verify_copy(shell.terminal, directory, key=key, policy=policy, kept=kept, since=since)


def status(shell: Shell) -> int | None:
    """Name, size, key and latest checkpoint."""
    from answerable.client import ledger_calls

    with shell.control() as control:
        found = ledger_calls.show_ledger(control)
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return None
    shell.terminal.record(
        [
            ("origin", found.origin),
            ("entries", found.entries),
            ("key", found.key),
            ("checkpoint", found.checkpoint.rstrip("\n").split("\n")),
        ]
    )
    return None


def show(shell: Shell, index: Index, reveal: Reveal = False) -> int | None:
    """Show one entry, opened.

    Values of arguments with the name of a secret are printed only with --reveal.
    """
    from answerable.client import ledger_calls
    from answerable.core.incident.hiding import payload_to_show
    from answerable.core.search.names import entry_in_shard, entry_of
    from answerable.errors.codes.ledger import LEDGER_NO_ENTRY

    shard, number = entry_in_shard(index) or ("", entry_of(index))
    if number is None:
        raise LEDGER_NO_ENTRY(
            f"{shown(index)} names no entry: give its index, such as 5 or #5, or b/5 for one of shard b"
        )
    with shell.control(shard=shard) as control:
        entry = ledger_calls.show_entry(control, str(number))
    if not reveal and entry.payload is not None:
        entry = structs.replace(entry, payload=payload_to_show(entry.payload))
    if shell.terminal.as_json:
        shell.terminal.json(entry)
        return None
    shell.terminal.record(
        [
            ("entry", entry.index),
            ("kind", entry.kind),
            ("leaf hash", entry.leaf_hash),
            ("says", [entry.sentence, *entry.details]),
        ]
    )
    for name, value in (("leaf", entry.leaf), ("payload", entry.payload)):
        shell.terminal.heading(name)
        for line in json.dumps(value, indent=2, ensure_ascii=False).splitlines():
            shell.terminal.line(f"  {line}")
    return None


def seal(shell: Shell) -> int | None:
    """Sign a checkpoint now, and print it."""
    from answerable.client import ledger_calls

    with shell.control() as control:
        found = ledger_calls.seal_ledger(control)
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return None
    for line in found.checkpoint.rstrip("\n").split("\n"):
        shell.terminal.line(line)
    return None
