"""What the demo tells in the terminal: plain sentences, commands, answers and checks, in colour where there is any.

Law: a text that was hidden is never printed, not even the beginning of it that a cut line shows.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import Final, TextIO

WIDTH_MAX: Final = 110
HIDDEN: Final = "[token hidden by the demo]"
HIDDEN_PREFIX_CHARS_MIN: Final = 6

_STYLES: Final = {
    "title": "1",
    "command": "36",
    "output": "2",
    "agent": "35",
    "allowed": "32",
    "denied": "31",
    "waiting": "33",
    "failed": "31",
    "check": "32",
    "fault": "1;31",
}
_WORDS: Final = {
    "allowed": "allowed",
    "denied": "denied",
    "waiting": "waits for a person",
    "failed": "failed",
}


class UnexpectedError(Exception):
    """The product did something else than the demo claims."""

    def __init__(self, expected: str, happened: object) -> None:
        super().__init__(f"expected: {expected}; happened: {happened}")
        self.expected = expected
        self.happened = str(happened)


class Narrator:
    """Writes to one stream. Every line goes through `_write`, which hides what must not be shown."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._width = min(shutil.get_terminal_size((WIDTH_MAX, 24)).columns, WIDTH_MAX)
        self._hidden: list[re.Pattern[str]] = []
        self.claims = 0
        """How many claims were checked and held."""

    def hide(self, secret: str) -> None:
        """Never print this text from now on, nor a beginning of it."""
        self._hidden.append(_beginnings_of(secret))

    def redacted(self, text: str) -> str:
        """The text without what is hidden."""
        for pattern in self._hidden:
            text = pattern.sub(HIDDEN, text)
        return text

    def title(self, text: str) -> None:
        """The heading of a chapter."""
        self._write("")
        self._write(text, style="title")

    def say(self, text: str) -> None:
        """A sentence of the narrator."""
        self._write(text, first="  ")

    def command(self, text: str) -> None:
        """A command that runs now."""
        self._write(text, first="  $ ", then="      ", style="command")

    def output(self, lines: Iterable[str]) -> None:
        """What a command printed."""
        for line in lines:
            indent = " " * (len(line) - len(line.lstrip()))
            self._write(line.strip(), first="    " + indent, then="      " + indent, style="output")

    def asks(
        self, server: str, call: str, arguments: Mapping[str, object] | None = None, *, who: str = "agent"
    ) -> None:
        """What an agent asks for."""
        listed = ", ".join(
            f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in (arguments or {}).items()
        )
        text = f"{call}({listed})" if arguments is not None else call
        self._write(f"{text} on {server}", first=f"  {who} ▸ ", then="          ", style="agent")

    def answer(self, kind: str, text: str) -> None:
        """What the agent got: `allowed`, `denied`, `waiting` or `failed`, and in which words."""
        self._write(f"{_WORDS[kind]}: {text}", first="        ◂ ", then="          ", style=kind)

    def expect(self, holds: bool, claim: str, *, happened: object) -> None:
        """State what was checked. Raises UnexpectedError when it does not hold."""
        if not holds:
            raise UnexpectedError(claim, happened)
        self.claims += 1
        self._write(claim, first="  ✓ ", then="    ", style="check")

    def fault(self, text: str) -> None:
        """What went wrong."""
        self._write(text, style="fault")

    def _write(self, text: str, *, first: str = "", then: str | None = None, style: str = "") -> None:
        lines = textwrap.wrap(
            self.redacted(text),
            self._width,
            initial_indent=first,
            subsequent_indent=first if then is None else then,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [first.rstrip()]
        for line in lines:
            coloured = self._colour and style
            self._stream.write(f"\x1b[{_STYLES[style]}m{line}\x1b[0m\n" if coloured else f"{line}\n")
        self._stream.flush()


def _beginnings_of(secret: str) -> re.Pattern[str]:
    """A pattern for the secret and for each beginning of it that is long enough to matter."""
    pattern = ""
    for character in reversed(secret[HIDDEN_PREFIX_CHARS_MIN:]):
        pattern = f"(?:{re.escape(character)}{pattern})?"
    return re.compile(re.escape(secret[:HIDDEN_PREFIX_CHARS_MIN]) + pattern)
