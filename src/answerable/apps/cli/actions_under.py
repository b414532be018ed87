"""`answerable timeline --manifest, --prompt, --model`: list the actions that ran under a manifest, prompt or model, and
how reliably that is known."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.api.ledger_answers import ActionUnder
    from answerable.apps.cli.command import Shell
    from answerable.apps.cli.terminal import Terminal

_GRADES: Final = {
    "kernel": "measured by the kernel",
    "sidecar": "measured by its sidecar",
    "gateway": "seen by the gateway",
}
_STANDINGS: Final = {
    "claimed": "claimed, not measured",
    "differs": "NOT what ran: the agent differed from it",
    "unwritten": "how it was measured was not recorded",
}


def show_actions(terminal: Terminal, found: list[ActionUnder]) -> int | None:
    """Print the actions, oldest first."""
    if terminal.as_json:
        terminal.json(found)
        return None
    for one in found:
        terminal.heading(f"{one.at}  #{one.index}  {one.text}")
        ended = one.outcome.replace("_", " ") or "no recorded end"
        drifted = "; the agent differed from its manifest" if one.drifted else ""
        terminal.line(f"    {ended}; manifest {one.manifest}{drifted}")
        for field in one.made_of:
            known = _GRADES.get(field.grade) if field.standing == "measured" else None
            terminal.line(f"    {field.field}: {field.says} ({known or _STANDINGS[field.standing]})")
        if not one.made_of:
            terminal.line("    the content of this manifest cannot be read here")
    terminal.say(f"{len(found)} actions" if found else "no action ran under it")
    return None


def asked_actions(shell: Shell, asked: dict[str, str]) -> list[ActionUnder]:
    """Return the actions from the control API. Raises the error family."""
    from answerable.client import ledger_calls
    from answerable.core.incident.under_manifest import wanted_manifest

    # Validate the arguments before calling the server: a fault in them needs no server.
    wanted_manifest(**asked)
    with shell.control() as control:
        return list(
            ledger_calls.find_actions(control, **{name: text or None for name, text in asked.items()})
        )


def copied_actions(terminal: Terminal, directory: Path, asked: dict[str, str]) -> list[ActionUnder]:
    """Return the actions from a copy of the ledger. Raises the error family."""
    from answerable.core.incident.under_manifest import wanted_manifest
    from answerable.flows.forensics.find_under import find_under
    from answerable.wiring.ledger_search import places_of_copy, searching

    wanted = wanted_manifest(**asked)
    places = places_of_copy(directory, None, None)
    with terminal.progress("indexing") as told, searching(places, progress=told) as index:
        found = find_under(index.teller(), wanted, limit=sys.maxsize - 1)
    if found.unread:
        terminal.warn(
            f"what {found.unread} older manifests say is sealed: actions under them are not included"
        )
    return [*found.actions]
