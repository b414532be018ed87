"""Evidence on the command line: export entries with their proofs, and verify an exported bundle."""

from __future__ import annotations

import os
import time
from base64 import b64decode
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec import structs

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import ERROR, PENDING
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from answerable.api.evidence_answers import Evidence, EvidenceRequest
    from answerable.apps.cli.control import Control

POLL_SECONDS: Final = 0.5

Entries = Annotated[
    list[int] | None,
    typer.Option("--entry", help="Index of an entry; may be given several times.", min=0, metavar="INDEX"),
]
Action = Annotated[
    str | None, typer.Option("--action", help="All entries of this action.", metavar="ID", show_default=False)
]
Mandate = Annotated[
    str | None,
    typer.Option("--mandate", help="All entries of this mandate.", metavar="ID", show_default=False),
]
Reveal = Annotated[
    list[str] | None,
    typer.Option(
        "--reveal",
        help="Field to reveal in every entry that has it, or INDEX:FIELD for one entry; may be given several "
        "times. All others stay hidden.",
        metavar="FIELD",
    ),
]
Replay = Annotated[
    bool,
    typer.Option(
        "--replay",
        help="Also reveal what a replay of their decisions needs: the request, the action, the policy set and "
        "the mandate.",
    ),
]
Wait = Annotated[
    int,
    typer.Option(
        "--wait",
        help="How long to wait for witnesses to cosign the entries; 0 does not wait.",
        min=0,
        max=600,
        metavar="SECONDS",
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="File to write; must not exist yet.", metavar="FILE")]
BundleFile = Annotated[Path, typer.Argument(help="An evidence bundle.", metavar="FILE")]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        help="Whose cosignatures count, and how many (C2SP tlog-policy); your own.",
        metavar="FILE",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--verifier-key",
        "--key",
        help="The log's verifier key, from another source, if no policy names it.",
        metavar="VKEY",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the noun `evidence`."""
    group = typer.Typer(
        no_args_is_help=True, help="Evidence: bundles that third parties can verify without this server."
    )
    command(group, "export", reads=True)(export)
    command(group, "verify", reads=True)(verify)
    app.add_typer(group, name="evidence")


def export(
    shell: Shell,
    out: Out,
    entry: Entries = None,
    action: Action = None,
    mandate: Mandate = None,
    reveal: Reveal = None,
    replay: Replay = False,
    wait: Wait = 30,
) -> int | None:
    """Write a bundle of entries with proofs, and of their fields only those that you choose to reveal.

    Includes the entries that they refer to and the first entry of the ledger. The recipient checks the file with
    `answerable evidence verify`. Waits until witnesses have cosigned new entries; Ctrl-C ends the wait and
    writes the file without. Exit code 4 if they have not: the file then does not satisfy a policy of witnesses yet.
    """
    from answerable.api.evidence_answers import EvidenceRequest

    asked = EvidenceRequest(
        about={name: text for name, text in (("action", action), ("mandate", mandate)) if text},
        entries=tuple(sorted(set(entry or ()))),
        reveal=tuple(reveal or ()),
        replay=replay,
    )
    found = witnessed(shell, asked, seconds=wait)
    try:
        # The bundle's revealed fields may be personal data.
        with open(out, "xb", opener=partial(os.open, mode=0o600)) as file:
            file.write(b64decode(found.bundle))
    except OSError as error:
        shell.terminal.fault(f"cannot write {shown(out)}: {(error.strerror or 'unknown').lower()}")
        return ERROR
    code = None if found.witnessed else PENDING
    if code is not None:
        shell.terminal.warn(
            f"witnesses have not cosigned these entries yet, so {shown(out)} does not satisfy a policy of witnesses: "
            "export them again later"
        )
    if shell.terminal.as_json:
        members = structs.asdict(found)
        del members["bundle"]
        shell.terminal.json({"file": str(out), **members})
        return code
    shell.terminal.record(
        [
            ("file", out),
            ("log", found.origin),
            ("entries", ", ".join(str(index) for index in found.entries)),
            ("fields shown", found.shown),
        ]
    )
    if found.withheld:
        indexes = ", ".join(str(index) for index in found.withheld)
        shell.terminal.warn(f"the fields of entries {indexes} cannot be opened: their keys were erased")
    return code


def witnessed(shell: Shell, asked: EvidenceRequest, *, seconds: int) -> Evidence:
    """Fetch a bundle, once witnesses have cosigned its entries or the time is over. Raises as the control API."""
    with shell.control() as control:
        found = assembled(control, asked)
        if not found.witnessed and _seen_by_witnesses(shell, control, max(found.entries), seconds=seconds):
            found = assembled(control, asked)
    return found


def assembled(control: Control, asked: EvidenceRequest) -> Evidence:
    """Fetch a bundle; sign a checkpoint first if none covers its entries yet. Raises as the control API."""
    from answerable.client import evidence_calls, ledger_calls

    try:
        return evidence_calls.export_evidence(control, asked)
    except Malformed as fault:
        if fault.code != "evidence.unsigned":
            raise
    ledger_calls.seal_ledger(control)
    return evidence_calls.export_evidence(control, asked)


def _seen_by_witnesses(shell: Shell, control: Control, index: int, *, seconds: int) -> bool:
    """Whether witnesses cosign an entry within `seconds`, or before the user interrupts the wait. Without a server
    nobody asks the witnesses, and the answer is no."""
    from answerable.api.evidence_answers import EvidenceRequest
    from answerable.client import evidence_calls

    if not control.is_server:
        return False
    asked = EvidenceRequest(entries=(index,), about={}, reveal=(), replay=False)
    began = time.monotonic()
    if seconds:
        shell.terminal.say(f"waiting at most {seconds} seconds for witnesses to cosign entry {index}")
    with shell.terminal.progress("waiting for witnesses") as progress:
        try:
            while (gone := time.monotonic() - began) < seconds:
                progress(int(gone), seconds)
                time.sleep(POLL_SECONDS)
                if evidence_calls.export_evidence(control, asked).witnessed:
                    return True
        except KeyboardInterrupt:
            shell.terminal.say("the wait was ended")
    return False


def verify(shell: Shell, bundle: BundleFile, policy: PolicyFile = None, key: Key = None) -> int | None:
    """Check an evidence bundle, offline.

    Needs only the file and a policy of your own. Exit code 5 if it has a fault; 6 if it has none, but the cosignatures
    that --policy requires are missing.
    """
    from answerable.apps.cli.without_server import verify_bundle

    return verify_bundle(shell.terminal, bundle, policy=policy, key=key)
