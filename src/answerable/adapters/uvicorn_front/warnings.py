"""Limit log warnings that repeat: of the HTTP server, that any caller can trigger with each connection, and of all that
is tried again and again while a disk or a receiver fails. Their number is reported."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

APART_SECONDS: Final = 10.0
MESSAGES_MAX: Final = 64
"""Distinct messages that are remembered. More than these at a time are said again."""


class SaidOnce(logging.Filter):
    """Passes a warning once in APART_SECONDS, and adds how often it was suppressed meanwhile."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Filter as logging.Filter does. Errors, which are faults of this program, always pass."""
        if record.levelno != logging.WARNING:
            return True
        message, now = record.getMessage(), self._now()
        said_at, more = self._said.get(message, (now - APART_SECONDS, 0))
        if now - said_at < APART_SECONDS:
            self._said[message] = (said_at, more + 1)
            return False
        if message not in self._said and len(self._said) >= MESSAGES_MAX:
            self._said.clear()
        self._said[message] = (now, 0)
        if more:
            record.msg, record.args = f"{message} And {more} times before this since it was last said.", ()
        return True


_SAID_ONCE: Final = SaidOnce()
_PRINTED_ONCE: Final = SaidOnce()


def say_once() -> None:
    """Install the filters for the whole process: on uvicorn's log, which its listeners share, and on what is printed
    where no log is configured. Idempotent."""
    logging.getLogger("uvicorn.error").addFilter(_SAID_ONCE)
    if logging.lastResort is not None:
        logging.lastResort.addFilter(_PRINTED_ONCE)
