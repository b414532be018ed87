"""The exit codes of commands, and how an error becomes one line and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from answerable.apps.cli.terminal import print_nowhere, printing
from answerable.errors import AnswerableError, Refused, Unverified

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.apps.cli.terminal import Terminal
    from answerable.verify.report import Status

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
DENIED: Final = 3
PENDING: Final = 4
CHECK_FAILED: Final = 5
UNMET: Final = 6
INTERRUPTED: Final = 130
"""As shells report SIGINT."""

EXIT_CODES: Final = {
    OK: "done",
    ERROR: "an error",
    USAGE: "the command line was not understood",
    DENIED: "somebody entitled to say no said no, or an identity did not check",
    PENDING: "it waits for somebody: a person, or witnesses",
    CHECK_FAILED: "a check found something",
    UNMET: "what was checked is in order, and what was asked for beside that is not there: a quorum of witnesses, a "
    "cosignature since a time, a server that says what it offers",
    INTERRUPTED: "ended by Ctrl-C (SIGINT); what is in force stays so",
}


def exit_code_of(terminal: Terminal, run: Callable[[], int | None]) -> int:
    """Run a command and return its exit code; an error of the family becomes one line."""
    try:
        code = run()
        with printing():
            sys.stdout.flush()
    except AnswerableError as error:
        terminal.fault(error.message)
        if isinstance(error, Refused):
            for reason in error.reasons:
                if reason not in error.message:
                    terminal.warn(f"  {reason}")
        return code_of(error)
    except KeyboardInterrupt:
        terminal.fault("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader closed its end of the pipe.
        print_nowhere()
        return OK
    return OK if code is None else code


def code_of_status(status: Status) -> int | None:
    """Return the exit code for the verdict of a verification."""
    return {"invalid": CHECK_FAILED, "unmet": UNMET}.get(status)


def code_of(error: AnswerableError) -> int:
    """Return the exit code for an error."""
    if isinstance(error, Unverified):
        return DENIED
    if isinstance(error, Refused):
        return ERROR if error.code.endswith(".unknown") else DENIED
    return ERROR
