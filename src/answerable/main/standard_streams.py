"""The standard streams and the words that a command is started with, made fit to be used."""

from __future__ import annotations

import os
import sys
from typing import Final

from answerable.errors.codes.services import CLI_NOT_UTF8

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""By descriptor."""
_STOPPING: Final = frozenset({"panic", "stop"})


def open_closed() -> None:
    """Lead each standard stream that whoever started us has closed to nowhere, for us and for those that we start:
    else the next file that is opened takes its place, and what is printed goes into it."""
    for number in range(len(_STREAMS)):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is this one: those below are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as the process runs


def text_of(words: list[str]) -> list[str]:
    """The words. Raises Malformed (`cli.not_utf8`) where one of them is not UTF-8, as no name of ours is: but whoever
    stops something is not refused for that, and its octets are written as codes."""
    legible = [os.fsencode(word).decode("utf-8", "backslashreplace") for word in words]
    wrong = [
        place for place, (word, shown) in enumerate(zip(words, legible, strict=True), 1) if word != shown
    ]
    if wrong and not _STOPPING & {*words}:
        place = wrong[0]
        raise CLI_NOT_UTF8(f"argument {place} is not valid UTF-8: {legible[place - 1][:80]}")
    return legible
