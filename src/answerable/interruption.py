"""End the command line at Ctrl-C while it is still being imported, as a command that runs ends: in one line, with the
documented exit code; and keep Ctrl-C from a process whose end is decided."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED: Final = 130
"""As shells report SIGINT."""


def end_at_interrupt() -> None:
    """Until `raise_at_interrupt`, Ctrl-C ends the process. Does nothing where SIGINT is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_at_interrupt() -> None:
    """From here on, Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interrupts() -> None:
    """From here on, Ctrl-C does nothing: the process ends by itself, with an exit code that it has already."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(_number: int, _frame: FrameType | None) -> None:
    # Not by an exception: it would come up in whatever is being imported. Nothing is open that must be closed.
    os.write(2, b"answerable: interrupted\n")
    os._exit(INTERRUPTED)
