"""`answerable attribute`: tell of each line of a target's own log which recorded step wrote it, or that none did."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from answerable.apps.cli.command import Shell, command


class Kind(StrEnum):
    POSTGRES = "postgres"
    MARIADB = "mariadb"
    SSHD = "sshd"
    JOURNALD = "journald"
    RABBITMQ = "rabbitmq"
    REDIS = "redis"
    NATS = "nats"
    NGINX = "nginx"
    CLOUDTRAIL = "cloudtrail"
    OCSF = "ocsf"


Files = Annotated[list[Path], typer.Argument(help="Files of one log, oldest first.", metavar="FILE...")]
OfKind = Annotated[Kind, typer.Option("--kind", help="Whose log it is.", show_default=False)]
LedgerCopy = Annotated[
    Path,
    typer.Option("--ledger", help="Ledger directory, or a copy of one.", show_default=False, metavar="DIR"),
]
Complete = Annotated[
    str,
    typer.Option(
        "--complete",
        help="When the ledger was sealed, as RFC 3339: up to then it has everything. Default: time of its last entry.",
        show_default=False,
        metavar="TIME",
    ),
]
Prefix = Annotated[
    str,
    typer.Option(
        "--prefix",
        help="PostgreSQL's `log_line_prefix`, for a log on standard error.",
        show_default=False,
        metavar="TEXT",
    ),
]
Accounts = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        help="An account that only the broker is to use; may be given several times. Accounts of leases always are.",
        show_default=False,
        metavar="NAME",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="Whose log it is, as the broker calls it; default: the targets of the steps that have lines.",
        show_default=False,
        metavar="NAME",
    ),
]
Zone = Annotated[
    str,
    typer.Option(
        "--zone", help="Time zone of times that name none: +01:00.", show_default=False, metavar="OFFSET"
    ),
]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        help="Compare contents, opened with the subject keys of this data directory, or a copy of one.",
        show_default=False,
        metavar="DIR",
    ),
]
Seen = Annotated[
    Path | None,
    typer.Option(
        "--seen",
        help="Add the accounts of the log to this file, for `account list`: names, times and numbers of lines alone. "
        "Needs --target.",
        show_default=False,
        metavar="FILE",
    ),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print every line that has an answer, as CSV.")]


def register(app: typer.Typer) -> None:
    """Add the verb `attribute`."""
    command(
        app,
        "attribute",
        reads=True,
        panel="What happened",
        example="attribute postgresql.json --kind postgres --ledger copy",
    )(attribute)


def attribute(
    shell: Shell,
    files: Files,
    kind: OfKind,
    ledger: LedgerCopy,
    complete: Complete = "",
    prefix: Prefix = "",
    account: Accounts = None,
    target: Targets = None,
    zone: Zone = "",
    keys: Keys = None,
    seen: Seen = None,
    csv: AsCsv = False,
) -> int | None:
    """Find the recorded step behind each line of a target's own log.

    A line is *ours* with a grade: A its account is of one step, B the server's own session key, C a label that the
    broker set. *shared*: of one of several steps (grade D, never proof). *bypass*: a governed account used past the
    broker. *forged*: a label of ours that the session does not bear out. *content*: of one step, and the line says
    another statement, path, key or recipient than is recorded, where both say it. *phantom*: a recorded step of which
    the log does not say anything. Exit code 5 if there is one of the last four, or a line that a client's text made
    ambiguous; else 6 if lines could not be read, no time of a file is understood, or nothing was compared. Lines of
    other accounts are counted only.
    """
    from answerable.apps.cli.told_attribution import LogAsked, attribute_files

    asked = LogAsked(
        files=files,
        kind=kind.value,
        ledger=ledger,
        complete=complete,
        prefix=prefix,
        zone=zone,
        accounts=account or (),
        targets=target or (),
        csv=csv,
        keys=keys,
        seen=seen,
    )
    return attribute_files(shell.terminal, asked)
