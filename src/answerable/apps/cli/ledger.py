"""The ledger on the command line: verify a copy offline, read the live one, seal it, show a timeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import structs

from answerable.apps.cli.command import Shell, command

if TYPE_CHECKING:
    from answerable.api.ledger_answers import TimelineLine

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
Index = Annotated[int, typer.Argument(help="Index of the entry, from 0.", min=0, metavar="INDEX")]
Reveal = Annotated[
    bool, typer.Option("--reveal", help="Print arguments as stored, with the secrets among them.")
]
Name = Annotated[
    str,
    typer.Argument(
        help="Id of an action, approval, mandate, lease, agent, instance or person, digest of an action or manifest, "
        "or index.",
        show_default=False,
        metavar="[ID]",
    ),
]


UnderManifest = Annotated[
    str,
    typer.Option(
        "--manifest", help="Actions under the manifest of this digest.", show_default=False, metavar="DIGEST"
    ),
]
UnderPrompt = Annotated[
    str,
    typer.Option(
        "--prompt",
        help="Actions under manifests with this prompt, by its digest.",
        show_default=False,
        metavar="sha256:HEX",
    ),
]
UnderModel = Annotated[
    str,
    typer.Option(
        "--model",
        help="Actions under manifests with this model.",
        show_default=False,
        metavar="NAME[@VERSION]",
    ),
]
LedgerCopy = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        help="Read this ledger directory, or a copy of one, without a server; sealed fields stay sealed.",
        show_default=False,
        metavar="DIR",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the noun `ledger` and the verb `timeline`."""
    command(app, "timeline", reads=True, panel="What happened")(timeline)
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

    with shell.control() as control:
        entry = ledger_calls.show_entry(control, str(index))
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


def timeline(
    shell: Shell,
    name: Name = "",
    manifest: UnderManifest = "",
    prompt: UnderPrompt = "",
    model: UnderModel = "",
    ledger: LedgerCopy = None,
) -> int | None:
    """The history of one id, or the actions under one prompt or model.

    With an ID: who acted for whom, why, what was done, how it was decided, and the result. With --manifest, --prompt or
    --model: every action under a manifest that matches all of these, and how each field of it was measured then.
    """
    from answerable.apps.cli.without_server import check_told_of, show_story, tell_copy

    about = {"manifest": manifest, "prompt": prompt, "model": model}
    if ledger is not None:
        return tell_copy(shell.terminal, ledger, name, about)
    check_told_of(name, about)
    if not name:
        from answerable.apps.cli.actions_under import asked_actions, show_actions

        return show_actions(shell.terminal, asked_actions(shell, about))
    return show_story(shell.terminal, name, _story(shell, name))


def _story(shell: Shell, name: str) -> tuple[TimelineLine, ...]:
    from answerable.client import ledger_calls

    with shell.control() as control:
        return ledger_calls.show_timeline(control, name).lines
