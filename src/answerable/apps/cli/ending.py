"""End authority from the command line when no server runs and nothing can be written: report what is in force and what
to do.

Laws: the user is told that the authority was ended, or that it was not; a disk's error message alone says neither. A
running server is called whatever the settings say now: it started with others. Whatever strange answer comes, the user
is told what may be in force and which command needs no answer.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Final

from answerable.apps.cli.control import NEEDS_NO_ANSWER
from answerable.apps.cli.exit_codes import is_of_a_command, strange_answer
from answerable.errors import Broken, Malformed, Unavailable, shown
from answerable.errors.codes.ledger import REGISTER_UNRECORDED
from answerable.errors.codes.services import CONTROL_ANSWER, CONTROL_FAILED, CONTROL_NOT_ENDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.apps.cli.command import Run, Shell
    from answerable.apps.cli.control import Control

WITHOUT_SERVER: Final = (
    "While no server runs on this data directory nothing acts through it; what was given out before (leases, tokens, "
    "identity documents) lives to its own end: revoke it at its targets. End every process that still runs on it, keep "
    "it down until its disk can be written, and end this again before agents are let in"
)


def ends_authority(unsure: str) -> Callable[[Run], Run]:
    """Decorate a command that ends authority: when the server's answer is none of this product's, the command adds what
    may be in force (`unsure`) and names `answerable panic`."""
    after = unsure if NEEDS_NO_ANSWER in unsure else f"{unsure}: {NEEDS_NO_ANSWER}"

    def with_unsure(message: str) -> str:
        return f"{message.removesuffix(f'; {NEEDS_NO_ANSWER}')}; {after}"

    def decorate(run: Run) -> Run:
        @wraps(run)
        def answered(*given: object, **named: object) -> int | None:
            try:
                return run(*given, **named)
            except Broken as failed:
                if failed.code not in (CONTROL_ANSWER.id, CONTROL_FAILED.id):
                    raise
                raise Broken(with_unsure(failed.message), code=failed.code) from None
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as odd:
                if not is_of_a_command(odd):
                    raise
                raise CONTROL_ANSWER(with_unsure(strange_answer(odd))) from None

        return answered

    return decorate


@contextmanager
def ending(shell: Shell) -> Iterator[Control]:
    """Open the control API as `Shell.control`, for a command that ends authority.

    Raises Unavailable (`control.not_ended`) when this process works in place of a server and can record nothing.
    """
    control: Control | None = None
    try:
        with _control(shell) as control:
            yield control
    except (Unavailable, Broken) as failed:
        # A server is running, or was a moment ago, or this is unknown: its own error says what to do.
        if failed.code.startswith("control.") or failed.code == "ledger.locked":
            raise
        # State that only this process held is lost when it ends.
        if control is not None and (control.is_server or failed.code != REGISTER_UNRECORDED.id):
            raise
        raise CONTROL_NOT_ENDED(
            f"nothing was ended: no server runs, and {shown(shell.data)} cannot be worked on ({failed.message}). "
            f"{WITHOUT_SERVER}; `answerable panic` lets each start hold everything, where its file can be written"
        ) from None


@contextmanager
def _control(shell: Shell) -> Iterator[Control]:
    """Open the control API as `Shell.control`. Raises Unavailable (`control.not_ended`) when the settings have a fault
    and no server answers at the default socket."""
    from answerable.apps.cli.control import running
    from answerable.wiring.settings import parse_settings

    wrong = ""
    try:
        shell.settings()
    except Malformed as fault:
        wrong = fault.message
    if not wrong:
        with shell.control() as control:
            yield control
        return
    plain, _ = parse_settings(b"", data=shell.data)
    with running(plain) if plain is not None else nullcontext() as server:
        if server is None:
            raise CONTROL_NOT_ENDED(
                f"nothing was ended: {wrong}, and no server answers where one does without settings. "
                "`answerable panic` needs none, and holds everything"
            )
        shell.terminal.warn(f"{wrong}: the server that runs is asked all the same")
        yield server
