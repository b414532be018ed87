"""`answerable panic`: hold everything of a data directory, whether or not a server runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.ending import WITHOUT_SERVER
from answerable.errors import AnswerableError, Broken, Unavailable
from answerable.errors.codes.services import CONTROL_ANSWER

if TYPE_CHECKING:
    from answerable.apps.cli.control import Answer
    from answerable.core.canonical import JSONValue

Reason = Annotated[str, typer.Option("--reason", help="Reason, for the record.", metavar="TEXT")]

SEEN_SECONDS_MAX: Final = 5.0
POLL_SECONDS: Final = 0.05


def register(app: typer.Typer) -> None:
    """Add the verb."""
    # The command asks nothing; it accepts --yes anyway, so that nobody gets a usage error in an emergency.
    command(app, "panic", reads=True, asks=True)(panic)


def panic(shell: Shell, reason: Reason = "") -> int | None:
    """Stop everything, even if no server answers.

    Writes one file into the data directory. A running server then holds everything within a moment, and a starting
    server before it opens any listener. Removing the file does not lift the hold. Needs no confirmation. If the
    file cannot be written, the command requests the hold from a running server.
    """
    from answerable.core.containment.hold import legible_reason
    from answerable.core.containment.press import FILE
    from answerable.wiring.stops import press

    reason = legible_reason(reason)
    try:
        done = press(shell.data, reason=reason)
    except Unavailable as unwritten:
        if unwritten.code != "panic.not_written":
            raise
        _ask_server(shell, reason, unwritten)
        return None
    file = shell.data / FILE
    is_recorded = done.now is not None and done.now.reason == reason
    seen = _seen(shell, done.now.id) if done.now is not None else None
    if shell.terminal.as_json:
        hold, standing = (
            (seen.hold, [one["id"] for one in seen.standing]) if seen is not None else (None, None)
        )
        shell.terminal.json(
            {
                "file": str(file),
                "how": done.how,
                "again": done.is_again,
                "reason_recorded": is_recorded,
                "hold": hold,
                "standing": standing,
            }
        )
        return None
    shell.terminal.say(f"{file} is {done.how}")
    if not is_recorded:
        shell.terminal.warn(
            "the reason is not recorded: the disk took the press and nothing more. Tell those who will lift the hold"
        )
    if seen is None:
        _say_unseen(shell, is_again=done.is_again)
    else:
        _say_held(shell, seen)
    return None


def _ask_server(shell: Shell, reason: str, unwritten: Unavailable) -> None:
    """Ask the server to hold everything. Raises Unavailable: `panic.not_written` when no server answered, otherwise the
    server's error."""
    from answerable.apps.cli.control import NEEDS_NO_ANSWER, running

    body: dict[str, JSONValue] = {"kind": "everything", **({"reason": reason} if reason else {})}
    hold: Answer | None = None
    failed = unwritten
    try:
        with running(shell.settings()) as control:
            if control is not None:
                hold = _hold_in(control.post("/v1/holds", body, seconds_max=SEEN_SECONDS_MAX))
    except Broken as strange:
        said = strange.message.removesuffix(f"; {NEEDS_NO_ANSWER}")
        failed = Unavailable(
            f"{unwritten.message}; {said}; everything may be held or not",
            code=unwritten.code,
            port=unwritten.port,
            effect="unknown",
        )
    except Unavailable as told:
        if not told.code.startswith("control."):
            message = f"{unwritten.message}; the server was asked: {told.message}"
            raise Unavailable(message, code=told.code, port=told.port, effect=told.effect) from None
        failed = Unavailable(
            f"{unwritten.message}; {told.message}",
            code=unwritten.code,
            port=unwritten.port,
            effect=told.effect,
        )
    if hold is None:
        message = f"{failed.message}. {WITHOUT_SERVER}"
        raise Unavailable(message, code=failed.code, port=failed.port, effect=failed.effect)
    if shell.terminal.as_json:
        shell.terminal.json(
            {
                "file": None,
                "how": "held by the server",
                "again": False,
                "reason_recorded": True,
                "hold": hold,
                "standing": [],
            }
        )
        return
    shell.terminal.warn(f"{unwritten.message}: the server that runs was asked instead")
    _say_held(shell, _Seen(hold=hold, standing=()))


def _hold_in(answer: Answer) -> Answer:
    """Return the hold that the server placed. Raises Broken (`control.answer`)."""
    hold = answer.get("hold")
    if not (isinstance(hold, dict) and {"id", "at"} <= hold.keys()):
        raise CONTROL_ANSWER(
            "the server's answer has no hold: another program or release listens on its socket"
        )
    return hold


def _say_unseen(shell: Shell, *, is_again: bool) -> None:
    shell.terminal.warn(
        "no server has answered: one that runs on this directory holds everything now; one that starts does so "
        "before it opens a listener. Check with `answerable hold list` once it answers"
    )
    if is_again:
        shell.terminal.warn(
            "it had been pressed before: each press that became a hold is lifted by itself, and `answerable hold list` "
            "has them all"
        )


def _say_held(shell: Shell, seen: _Seen) -> None:
    name = seen.hold["id"]
    shell.terminal.say(f"everything is held since {seen.hold['at']}: {name}")
    if seen.standing:
        shell.terminal.warn(
            "everything was already held by an earlier panic; each hold must be lifted separately: "
            + ", ".join(one["id"] for one in seen.standing)
        )
    shell.terminal.say(
        f"two persons must lift it: answerable hold lift {name} --as PERSON --key FILE --reason TEXT"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Result of waiting for a server. hold: the one that a running server made from this press. standing: earlier ones,
    still in force."""

    hold: Answer
    standing: tuple[Answer, ...]


def _seen(shell: Shell, press: str) -> _Seen | None:
    """Wait for the hold that a server makes from this press; None if no server reports it in time. Never raises:
    nothing here may fail a press."""
    from answerable.apps.cli.control import running

    give_up_at = time.monotonic() + SEEN_SECONDS_MAX
    try:
        with running(shell.settings()) as control:
            while control is not None and (left := give_up_at - time.monotonic()) > 0:
                # A stalled server accepts the request and never answers.
                held = control.get_soon("/v1/holds", seconds_max=left, state="in_force", limit="100")
                presses = [dict(one) for one in held["items"] if one["source"] == "panic"]
                for one in presses:
                    if one["rule"] == press:
                        return _Seen(hold=one, standing=tuple(other for other in presses if other is not one))
                time.sleep(POLL_SECONDS)
    except (AnswerableError, KeyboardInterrupt, LookupError, TypeError, ValueError):
        # LookupError, TypeError and ValueError: what answers is not this product's server.
        return None
    return None
