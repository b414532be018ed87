"""The witness on this machine: what it has stored, which logs it watches, and the policy that names it to verifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED
from answerable.errors import Refused
from answerable.errors.codes.services import CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from answerable.wiring.witness_view import WatchedLog

LogKey = Annotated[
    str,
    typer.Argument(
        help="The log's verifier key (C2SP signed-note), as `ledger status` shows it.", metavar="VKEY"
    ),
]


def noun() -> typer.Typer:
    """Return the noun with the verbs that open no listener."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Witnesses: cosigners of a ledger, so that it cannot be rolled back unnoticed.",
    )
    command(group, "show", reads=True)(show)
    command(group, "add-log", asks=True)(add_log)
    command(group, "accept-ledger", asks=True)(accept_ledger)
    command(group, "policy")(policy)
    return group


def show(shell: Shell) -> int | None:
    """What the witness of this machine remembers, and evidence that it keeps.

    Reads its directory; it may be running or not. Exit code 5 when there is evidence against a log.
    """
    from answerable.wiring.witness_view import watched_logs, witness_keys

    settings = shell.settings()
    keys, logs = witness_keys(settings), watched_logs(settings)
    if shell.terminal.as_json:
        shell.terminal.json({"keys": list(keys), "logs": [_as_value(one) for one in logs]})
    else:
        shell.terminal.record([("key", list(keys) or ["none yet"])])
        for one in logs:
            shell.terminal.heading(one.origin)
            shell.terminal.record(_as_pairs(one))
        if not logs:
            shell.terminal.say("it cosigns no log yet")
    return CHECK_FAILED if any(one.evidence or one.damage for one in logs) else None


def _as_value(log: WatchedLog) -> dict[str, Any]:
    return {
        "origin": log.origin,
        "keys": list(log.keys),
        "size": log.size,
        "root": log.root,
        "cosigned_at": log.cosigned_at,
        "damage": log.damage,
        "evidence": [
            {"kind": one.kind, "at": one.at, "size": one.size, "says": one.says} for one in log.evidence
        ],
        "evidence_directory": log.evidence_directory if log.evidence else None,
    }


def _as_pairs(log: WatchedLog) -> list[tuple[str, object]]:
    cosigned = f"size {log.size} at {log.cosigned_at}, root {log.root}" if log.cosigned_at else "nothing yet"
    return [
        ("  keys", list(log.keys)),
        ("  cosigned", "" if log.damage else cosigned),
        ("  DAMAGED", log.damage),
        ("  EVIDENCE", [f"{one.at}  {one.kind}: {one.says}" for one in log.evidence]),
        ("  in", log.evidence_directory if log.evidence else ""),
    ]


def add_log(shell: Shell, key: LogKey) -> int | None:
    """Have the witness of this machine watch a log.

    The part of VKEY before its first `+` is the log's origin. A log that is watched under another key is asked about.
    """
    from answerable.wiring.witness_view import add_watched_log

    settings = shell.settings()
    try:
        added = add_watched_log(settings, key)
    except Refused as other:
        shell.terminal.warn(other.message)
        if not shell.terminal.confirmed("Cosign it under this key, too?", yes=shell.yes):
            raise
        added = add_watched_log(settings, key, another=True)
    shell.terminal.say("the log is now cosigned" if added else "the log is already cosigned under this key")
    return None


def accept_ledger(shell: Shell) -> int | None:
    """Have the witness of this machine accept this ledger as it is, because what it remembered of it is lost.

    For `witness.state_lost`, where no copy of the witness's directory is left. Nothing can tell then whether this
    ledger is an older copy: compare it with what others know, for example whom they have stopped.
    """
    from answerable.wiring.witness_view import accept_ledger as accepted_ledger

    settings = shell.settings()
    shell.terminal.warn(
        "if this ledger is an older copy, the holds, revocations and closed mandates that came after it are not in "
        "force"
    )
    if not shell.terminal.confirmed("Accept the ledger as it is?", yes=shell.yes):
        raise CLI_NOT_CONFIRMED("not confirmed: nothing was changed")
    for one in accepted_ledger(settings):
        shell.terminal.say(f"the witness remembers size {one.size} of {one.origin} from now on")
    return None


def policy(shell: Shell) -> int | None:
    """Print a policy (C2SP tlog-policy) of this ledger and its witnesses, for `ledger verify --policy`.

    Give it to verifiers over a way that they trust: the keys in it are what they believe.
    """
    from answerable.wiring.witness_view import policy_text

    for line in policy_text(shell.settings()).splitlines():
        shell.terminal.line(line)
    return None
