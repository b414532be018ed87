"""Standing credentials, which work without a lease: find them and list them. Never prints a value."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.lease.standing import StandingSecret

Paths = Annotated[list[Path], typer.Argument(help="Files and directories to search.", metavar="PATH")]
Shown = Annotated[
    list[Path] | None,
    typer.Option("--scan", help="Search this path, too; may be given several times.", metavar="PATH"),
]
DAY_MS: Final = 86_400_000


def register(app: typer.Typer) -> None:
    """Add the noun `credential`."""
    group = typer.Typer(no_args_is_help=True, help="Standing credentials: those that work without a lease.")
    command(group, "scan", reads=True)(scan)
    command(group, "inventory", reads=True)(inventory)
    app.add_typer(group, name="credential")


def scan(shell: Shell, paths: Paths) -> int | None:
    """Look for long-lived secrets in configuration.

    MCP clients, .env, server documents, cloud and cluster credentials, .pgpass, .netrc, keys. Shows where they are and
    what could take their place, and no value. The exit code is 5 when one was found, or a file could not be read.
    """
    return _listed(shell, (), [str(path) for path in paths])


def inventory(shell: Shell, scan: Shown = None) -> int | None:
    """Every long-lived secret and shared account that the broker knows, and those found in what it is shown.

    Secrets of the store, and the accounts of the broker's own at its targets: who answers for each, how old it is, who
    used it and when last, where it is kept and what could take its place. Shows no value. Run as the account of the
    broker. The exit code is 5 when one is due, or others could read it, and as of `scan` with --scan.
    """
    from answerable.wiring.standing import broker_standing

    known = broker_standing(shell.settings())
    code = _listed(shell, known, [str(path) for path in scan or ()])
    return CHECK_FAILED if code or any(one.due or one.exposed for one in known) else None


def _listed(shell: Shell, known: Sequence[StandingSecret], paths: Sequence[str]) -> int | None:
    from answerable.core.lease.standing import shared
    from answerable.wiring.standing import scan as scanned

    report = scanned(shell.settings(), paths)
    found = [*known, *report.found]
    places = shared(found)
    now = time.time_ns() // 1_000_000
    if shell.terminal.as_json:
        shell.terminal.json(
            {
                "found": [_row(one, places.get(one.fingerprint, 1)) for one in found],
                "unread": [{"path": path, "why": why} for path, why in report.unread],
                "files": report.files,
            }
        )
    else:
        shell.terminal.table(
            (
                "kind",
                "where",
                "name",
                "fingerprint",
                "places",
                "owner",
                "age",
                "users",
                "last use",
                "kept",
                "due",
                "exposed",
            ),
            [
                (
                    one.kind,
                    f"{one.where}:{one.line}" if one.line else one.where,
                    one.name,
                    one.fingerprint,
                    places.get(one.fingerprint, 1),
                    one.owner or "unknown",
                    f"{(now - one.since) // DAY_MS} d" if one.since else "unknown",
                    len(one.users) or "unknown",
                    f"{(now - one.last_used_at) // DAY_MS} d" if one.last_used_at else "unknown",
                    one.kept,
                    one.due,
                    one.exposed,
                )
                for one in found
            ],
            empty="nothing was found",
        )
        for replacement in sorted({f"{one.kind}: {one.replacement}" for one in found}):
            shell.terminal.say(f"in place of {replacement}")
        for path, why in report.unread:
            shell.terminal.warn(f"{path} was not read: {why}")
    return CHECK_FAILED if report.found or report.unread else None


def _row(one: StandingSecret, places: int) -> dict[str, object]:
    return {
        "kind": one.kind,
        "where": one.where,
        "line": one.line,
        "name": one.name,
        "fingerprint": one.fingerprint,
        "places": places,
        "owner": one.owner,
        "since": one.since,
        "users": list(one.users),
        "last_used_at": one.last_used_at,
        "exposed": one.exposed,
        "kept": one.kept,
        "due": one.due,
        "replacement": one.replacement,
    }
