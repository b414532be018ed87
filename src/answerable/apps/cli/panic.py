"""`answerable panic`: stop everything of a data directory, whether or not a server runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.errors import AnswerableError

if TYPE_CHECKING:
    from answerable.apps.cli.control import Answer

Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.", metavar="TEXT")]

SEEN_SECONDS_MAX: Final = 5.0
POLL_SECONDS: Final = 0.05


def register(app: typer.Typer) -> None:
    """Add the verb."""
    command(app, "panic", reads=True)(panic)


def panic(shell: Shell, reason: Reason = "") -> int | None:
    """Stop everything, even when no server answers.

    Writes one file into the data directory. A running server holds everything within a moment, and each that starts
    does so before any door opens. Removing the file lifts nothing.
    """
    from answerable.core.containment.press import FILE
    from answerable.wiring.stops import press

    how, pressed = press(shell.data, reason=reason)
    file = shell.data / FILE
    hold = _seen(shell, pressed.id) if pressed is not None else None
    if shell.terminal.as_json:
        shell.terminal.json({"file": str(file), "how": how, "hold": hold})
        return None
    shell.terminal.say(f"{file} is {how}")
    if hold is None:
        shell.terminal.warn(
            "no server has answered: if one runs on this directory it holds everything now; each that starts does so "
            "before it opens a door. `answerable hold list` says so"
        )
    else:
        shell.terminal.say(f"everything is held since {hold['at']}: {hold['id']}")
        shell.terminal.say(
            f"two persons lift it: answerable hold lift {hold['id']} --as PERSON --key FILE --reason TEXT"
        )
    return None


def _seen(shell: Shell, press: str) -> Answer | None:
    """The hold that a running server made of it; None where none says so in time. Nothing here may fail a press."""
    from answerable.apps.cli.control import running

    give_up_at = time.monotonic() + SEEN_SECONDS_MAX
    try:
        with running(shell.settings()) as control:
            while control is not None and time.monotonic() < give_up_at:
                for one in control.get("/v1/holds", state="in_force", limit="100")["items"]:
                    if one["rule"] == press:
                        return dict(one)
                time.sleep(POLL_SECONDS)
    except (AnswerableError, KeyboardInterrupt):
        return None
    return None
