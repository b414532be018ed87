"""The exit codes of commands, and how an error becomes one line and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from answerable.apps.cli.terminal import print_nowhere, printing
from answerable.errors import AnswerableError, Refused, Unverified, shown
from answerable.errors.codes.attribution import (
    ATTRIBUTE_ACCOUNT,
    ATTRIBUTE_COMPLETE,
    ATTRIBUTE_OUTPUT,
    ATTRIBUTE_PREFIX,
    ATTRIBUTE_ZONE,
)
from answerable.errors.codes.incidents import INCIDENT_OPTIONS
from answerable.errors.codes.services import (
    CLI_AGAINST,
    CLI_ATTESTATION,
    CLI_CSV,
    CLI_NOT_UTF8,
    CLI_PROJECT,
    CLI_REPLAY,
    CLI_REVOKE,
    CLI_SEARCH,
    CLI_SET,
    CLI_SETS,
    CLI_SINCE,
    CLI_STOP,
    CLI_TIER,
    CLI_TIME,
    CLI_TIMELINE,
)
from answerable.interruption import INTERRUPTED, raise_at_interrupt

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

_MISUSED: Final = frozenset(
    one.id
    for one in (
        ATTRIBUTE_ACCOUNT, ATTRIBUTE_COMPLETE, ATTRIBUTE_OUTPUT, ATTRIBUTE_PREFIX, ATTRIBUTE_ZONE,
        CLI_AGAINST, CLI_ATTESTATION, CLI_CSV, CLI_NOT_UTF8, CLI_PROJECT, CLI_REPLAY, CLI_REVOKE, CLI_SEARCH, CLI_SET,
        CLI_SETS, CLI_SINCE, CLI_STOP, CLI_TIER, CLI_TIME, CLI_TIMELINE, INCIDENT_OPTIONS,
    )
)  # fmt: skip
"""Codes of words of a command line that do not fit together, or are not of the form that an option takes."""
_NOT_THERE: Final = (".unknown", ".none", ".log_unknown", ".manifest_unknown", "secret.missing")
"""Ends of codes of refusals that say that there is nothing of a name: nothing was denied."""

EXIT_CODES: Final = {
    OK: "done",
    ERROR: "an error, or what was asked for is not there",
    USAGE: "the command line was not understood",
    DENIED: "refused, or an identity was not verified",
    PENDING: "waiting for a person or for witnesses",
    CHECK_FAILED: "a check found something",
    UNMET: "no fault found, but something required is missing: a quorum of witnesses, a cosignature since a time, a "
    "running server that lists its tools, anything that has happened, or the keys of what is sealed",
    INTERRUPTED: "ended by Ctrl-C (SIGINT); what is in force stays in force",
}


def exit_code_of(terminal: Terminal, run: Callable[[], int | None], command: str = "") -> int:
    """Run a command and return its exit code; an error of the family becomes one line. command: as typed, to say where
    its help is to who gave words that do not fit together."""
    try:
        raise_at_interrupt()
        code = run()
        with printing():
            sys.stdout.flush()
    except AnswerableError as error:
        terminal.fault(error.message)
        if isinstance(error, Refused):
            for reason in error.reasons:
                if reason not in error.message:
                    terminal.warn(f"  {reason}")
        if command and error.code in _MISUSED:
            terminal.warn(f"Try '{command} --help' for help.")
        return code_of(error)
    except KeyError as missing:
        if not is_of_a_command(missing):
            raise
        terminal.fault(strange_answer(missing))
        return ERROR
    except (KeyboardInterrupt, BaseExceptionGroup) as ended:
        # Raised in a task, it comes in the group of the tasks that it ended.
        if isinstance(ended, BaseExceptionGroup) and ended.split(KeyboardInterrupt)[1] is not None:
            raise
        terminal.fault("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader closed its end of the pipe.
        print_nowhere()
        return OK
    except OSError as failed:
        place = f" ({shown(failed.filename)})" if failed.filename else ""
        terminal.fault(f"cannot go on: {(failed.strerror or type(failed).__name__).lower()}{place}")
        return ERROR
    return OK if code is None else code


def is_of_a_command(failed: Exception) -> bool:
    """Whether a command itself raised this: what it takes apart is what the control API answered."""
    frame = failed.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and frame.tb_frame.f_globals.get("__package__") == __package__


def strange_answer(failed: Exception) -> str:
    """Say what a command could not take apart."""
    from answerable.apps.cli.control import STRANGE

    what = f"has no `{failed.args[0]}`" if isinstance(failed, KeyError) else "is not understood"
    return f"the server's answer {what}: {STRANGE}"


def code_of_status(status: Status) -> int | None:
    """Return the exit code for the verdict of a verification."""
    return {"invalid": CHECK_FAILED, "unmet": UNMET}.get(status)


def code_of(error: AnswerableError) -> int:
    """Return the exit code for an error."""
    if error.code in _MISUSED:
        return USAGE
    is_denied = isinstance(error, Unverified) or (
        isinstance(error, Refused) and not error.code.endswith(_NOT_THERE)
    )
    return DENIED if is_denied else ERROR
