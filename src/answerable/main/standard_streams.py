"""Prepare the standard streams and the command-line arguments for use."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Final

from answerable.errors.codes.services import CLI_NOT_UTF8

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""Name and mode of each standard stream, by descriptor."""
_STOPPING: Final = frozenset({"panic", "stop"})


def open_closed() -> None:
    """Open /dev/null in place of each closed standard stream, for this process and its children. Otherwise the next
    opened file would take its descriptor, and output would go into that file."""
    for number in range(len(_STREAMS)):
        try:
            os.fstat(number)
        except OSError:
            # This is the lowest free descriptor: those below are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as the process runs


def print_any_text() -> None:
    """Write characters that the encoding of the terminal or pipe lacks as their codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def end_messages() -> None:
    """Discard messages that standard error did not take. Otherwise the interpreter would try once more at exit, and end
    with 120 in place of the command's exit code."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def text_of(words: list[str]) -> list[str]:
    """Return the arguments as text. Raises Malformed (`cli.not_utf8`) if one is not UTF-8, since no valid name is.
    Commands that stop something are not refused for that: the bytes are written as codes."""
    legible = [os.fsencode(word).decode("utf-8", "backslashreplace") for word in words]
    wrong = [
        place for place, (word, shown) in enumerate(zip(words, legible, strict=True), 1) if word != shown
    ]
    if wrong and not _STOPPING & {*words}:
        place = wrong[0]
        raise CLI_NOT_UTF8(f"argument {place} is not valid UTF-8: {legible[place - 1][:80]}")
    return legible
