"""Print results on standard output and messages on standard error.

Text from others cannot move the cursor, hide or reorder output: every non-printable character is written as its code.
Colour appears only on a terminal, and not with --no-color or NO_COLOR.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from answerable.errors.codes.services import CLI_CONFIRMATION, CLI_MISSING, CLI_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TextIO

    from rich.console import Console

ANSWER_CHARS_MAX: Final = 1000
"""Limit for typed input."""

_STYLES: Final = {
    "open": "green",
    "active": "green",
    "approved": "green",
    "ok": "green",
    "running": "green",
    "added": "green",
    "pending": "yellow",
    "held": "yellow",
    "not_yet": "yellow",
    "changed": "yellow",
    "denied": "red",
    "fallen": "red",
    "inactive": "red",
    "fault": "red",
    "failed": "red",
    "removed": "red",
    "closed": "dim",
    "expired": "dim",
    "spent": "dim",
    "used": "dim",
}
"""State words that are coloured when they fill a table cell."""

_GAP: Final = "  "


def safe(text: object) -> str:
    r"""Return one line; non-printable characters (control, bidirectional mark, zero width) become `\u{CODE}`."""
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in str(text))


@contextmanager
def printing() -> Iterator[None]:
    """Guard a block that prints.

    Raises BrokenPipeError when the reader has closed the pipe, and Unavailable (`cli.output`) when standard output
    accepts nothing; all later output is then discarded.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as failed:
        print_nowhere()
        raise CLI_OUTPUT(
            f"standard output cannot be written ({failed.strerror}): changes already made stay in force"
        ) from None


def print_nowhere() -> None:
    """Discard all later output and what is still buffered. Otherwise the interpreter would flush once more at exit and
    report an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _members(answer: object) -> object:
    from msgspec import to_builtins

    return to_builtins(answer)


class Terminal:
    """The output streams of one command. as_json: results are one JSON text. quiet: only faults as messages. draws:
    whether colour and progress bars are available; they need a package of the server."""

    def __init__(
        self, *, as_json: bool = False, colour: bool = True, quiet: bool = False, draws: bool = True
    ) -> None:
        self.as_json = as_json
        self._colour = colour and draws
        self._quiet = quiet
        self._draws = draws
        self._consoles: dict[int, Console] = {}

    def json(self, value: object) -> None:
        """Print a JSON value, indented on a terminal. Answers of the control API may be part of it."""
        indent = 2 if sys.stdout.isatty() else None
        with printing():
            sys.stdout.write(json.dumps(value, indent=indent, default=_members) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
        """Print aligned columns under a heading. Without rows, `empty` is printed as a message instead."""
        cells = [[safe(cell) for cell in row] for row in rows]
        if not cells:
            self.say(empty)
            return
        widths = [max(len(row[i]) for row in ([*columns], *cells)) for i in range(len(columns))]
        self._print(
            _GAP.join(name.upper().ljust(width) for name, width in zip(columns, widths, strict=True)), "bold"
        )
        for row in cells:
            padded = [
                (cell.ljust(width) if i < len(row) - 1 else cell, _STYLES.get(cell, ""))
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            self._print_pieces(padded)

    def record(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Print `name value` lines with aligned names; a list takes one line per item."""
        listed = [(name, value) for name, value in pairs if value not in ("", None, [], ())]
        width = max((len(name) for name, _ in listed), default=0)
        for name, value in listed:
            values = value if isinstance(value, list | tuple) else [value]
            for i, one in enumerate(values):
                text = safe(one)
                label = name if i == 0 else ""
                self._print_pieces([(label.ljust(width), "bold"), (text, _STYLES.get(text, ""))])

    def line(self, text: str, style: str = "") -> None:
        """Print one result line. Non-printable characters, line breaks included, are escaped."""
        self._print(safe(text), style)

    def heading(self, text: str) -> None:
        """Print a result line that further lines belong to; bold on a terminal."""
        self.line(text, "bold")

    def text(self, text: str) -> None:
        """Print a result of many lines; non-printable characters within a line are written as their code."""
        with printing():
            for line in text.split("\n")[: -1 if text.endswith("\n") else None]:
                sys.stdout.write(safe(line) + "\n")

    def say(self, text: str) -> None:
        """Print a message on standard error, unless quiet."""
        if not self._quiet:
            self._print(safe(text), "dim", sys.stderr)

    def warn(self, text: str) -> None:
        """Print a message even when quiet."""
        self._print(safe(text), "yellow", sys.stderr)

    def fault(self, text: str) -> None:
        """Print an error as one line."""
        self._print_pieces([("answerable:", "bold red"), (safe(text), "")], sys.stderr, gap=" ")

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """Show a progress bar on standard error if it is a terminal. Call the yielded function with the amount done and
        the total.

        A total of 0 means unknown.
        """
        if self._quiet or not self._draws or not sys.stderr.isatty():
            yield lambda done, total: None
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console(sys.stderr), transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total or None)

    def confirmed(self, question: str, *, yes: bool) -> bool:
        """Ask y/N on standard error; `yes` answers without asking.

        Raises Malformed (`cli.confirmation`) when there is no terminal.
        """
        if yes:
            return True
        if not sys.stdin.isatty():
            raise CLI_CONFIRMATION()
        self._print(f"{safe(question)} [y/N] ", "bold", sys.stderr, end="")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def asked(self, question: str, *, otherwise: str) -> str:
        """Ask for a value on standard error. otherwise: how to give the value without a terminal.

        Raises Malformed (`cli.missing`) when there is no terminal or the answer is empty or too long.
        """
        if not sys.stdin.isatty():
            raise CLI_MISSING(f"standard input is not a terminal: {otherwise}")
        self._print(f"{safe(question)}: ", "bold", sys.stderr, end="")
        answer = sys.stdin.readline(ANSWER_CHARS_MAX + 1).strip()
        if not answer or len(answer) > ANSWER_CHARS_MAX:
            raise CLI_MISSING(f"expected 1 to {ANSWER_CHARS_MAX} characters: {otherwise}")
        return answer

    def _print(self, text: str, style: str = "", stream: TextIO | None = None, end: str = "\n") -> None:
        self._print_pieces([(text, style)], stream, end=end)

    def _print_pieces(
        self,
        pieces: Sequence[tuple[str, str]],
        stream: TextIO | None = None,
        *,
        gap: str = _GAP,
        end: str = "\n",
    ) -> None:
        stream = stream or sys.stdout
        if stream is sys.stderr:
            # When both streams go to one file, each message then follows the result that it is about. A write error is
            # reported at the end.
            with suppress(OSError):
                sys.stdout.flush()
        if not (self._colour and stream.isatty()):
            text = gap.join(text for text, _ in pieces)
            # Whether a message can be printed changes nothing of the result and its exit code.
            with printing() if stream is sys.stdout else suppress(OSError):
                stream.write((text.rstrip() if end == "\n" else text) + end)
            return
        # Imported only for a terminal: a pipe does not pay for the import.
        from rich.text import Text

        joined = Text(gap).join([Text(text, style=style) for text, style in pieces])
        self._console(stream).print(joined, end=end, soft_wrap=True, highlight=False)

    def _console(self, stream: TextIO) -> Console:
        from rich.console import Console

        return self._consoles.setdefault(id(stream), Console(file=stream, emoji=False, markup=False))
