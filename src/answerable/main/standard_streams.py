"""The standard streams and the words that a command is started with, made fit to be used."""

from __future__ import annotations

import os
import sys
from typing import Final

from answerable.errors.codes.services import CLI_NOT_UTF8

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""By descriptor."""


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


def require_text(words: list[str]) -> None:
    """Raises Malformed (`cli.not_utf8`) where one of the words is not UTF-8: no name of ours is written so."""
    for place, word in enumerate(words, 1):
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")
            raise CLI_NOT_UTF8(f"argument {place} is not valid UTF-8: {shown[:80]}") from None
