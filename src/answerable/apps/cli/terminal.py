"""What a person or a pipe sees: results on standard output, messages on standard error.

Text that somebody else supplied cannot move the cursor, hide or reorder what is shown: every character that does not
print is written as its code. Colour only on a terminal, and not with --no-color or NO_COLOR.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Final

from answerable.errors.codes.services import CLI_CONFIRMATION, CLI_MISSING, CLI_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TextIO

    from rich.console import Console

ANSWER_CHARS_MAX: Final = 1000
"""Of what a person types."""

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
"""Words of state that are coloured wherever they fill a cell."""

_GAP: Final = "  "


def safe(text: object) -> str:
    """One line: what does not print (controls, bidirectional marks, zero width) is written as `\\u{CODE}`."""
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in str(text))


@contextmanager
def printing() -> Iterator[None]:
    """While something is printed. Raises BrokenPipeError where the reader has left, and Unavailable (`cli.output`)
    where standard output takes nothing: then it is printed nowhere from then on."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as failed:
        print_nowhere()
        raise CLI_OUTPUT(
            f"standard output takes nothing ({failed.strerror}): what was done stays done"
        ) from None


def print_nowhere() -> None:
    """What is printed from now on, and what is kept of it so far: else the interpreter would try once more at its end,
    and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Terminal:
    """The two streams of one command. as_json: results are one JSON text. quiet: no messages but faults. draws: colour
    and bars can be drawn, for which a package of the server is needed."""

    def __init__(
        self, *, as_json: bool = False, colour: bool = True, quiet: bool = False, draws: bool = True
    ) -> None:
        self.as_json = as_json
        self._colour = colour and draws
        self._quiet = quiet
        self._draws = draws
        self._consoles: dict[int, Console] = {}

    def json(self, value: object) -> None:
        """A JSON value as one text, indented for people when they look at it."""
        indent = 2 if sys.stdout.isatty() else None
        with printing():
            sys.stdout.write(json.dumps(value, indent=indent) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
        """Aligned columns under a heading; `empty` is said instead, as a message, when there are no rows."""
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
        """`name  value` lines, names aligned; a list takes a line for each item."""
        listed = [(name, value) for name, value in pairs if value not in ("", None, [], ())]
        width = max((len(name) for name, _ in listed), default=0)
        for name, value in listed:
            values = value if isinstance(value, list | tuple) else [value]
            for i, one in enumerate(values):
                text = safe(one)
                label = name if i == 0 else ""
                self._print_pieces([(label.ljust(width), "bold"), (text, _STYLES.get(text, ""))])

    def line(self, text: str, style: str = "") -> None:
        """One line of a result. Non-printing characters are shown, line breaks included."""
        self._print(safe(text), style)

    def text(self, text: str) -> None:
        """A result of many lines; within them, what does not print is written as its code."""
        with printing():
            for line in text.split("\n")[: -1 if text.endswith("\n") else None]:
                sys.stdout.write(safe(line) + "\n")

    def say(self, text: str) -> None:
        """A message on standard error, unless quiet."""
        if not self._quiet:
            self._print(safe(text), "dim", sys.stderr)

    def warn(self, text: str) -> None:
        """A message that is shown even when quiet."""
        self._print(safe(text), "yellow", sys.stderr)

    def fault(self, text: str) -> None:
        """What is wrong, one line."""
        self._print_pieces([("answerable:", "bold red"), (safe(text), "")], sys.stderr, gap=" ")

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """A bar on standard error where somebody looks; call what it yields with how much is done of how much.

        A total of 0 stands for one that is not known.
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
        """Ask y/N on standard error; `yes` answers for the person.

        Raises Malformed (`cli.confirmation`) where nobody can be asked.
        """
        if yes:
            return True
        if not sys.stdin.isatty():
            raise CLI_CONFIRMATION()
        self._print(f"{safe(question)} [y/N] ", "bold", sys.stderr, end="")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def asked(self, question: str, *, otherwise: str) -> str:
        """Ask for a value on standard error. otherwise: how to give it where nobody can be asked.

        Raises Malformed (`cli.missing`) there, and when nothing is answered.
        """
        if not sys.stdin.isatty():
            raise CLI_MISSING(f"there is no terminal to ask at: {otherwise}")
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
            # Where both go into one file, each message stands after the result that it is about.
            # A stream that takes nothing is told of at the end.
            with suppress(OSError):
                sys.stdout.flush()
        if not (self._colour and stream.isatty()):
            text = gap.join(text for text, _ in pieces)
            with printing() if stream is sys.stdout else nullcontext():
                stream.write((text.rstrip() if end == "\n" else text) + end)
            return
        # Loaded where somebody looks: a pipe does not pay for it.
        from rich.text import Text

        joined = Text(gap).join([Text(text, style=style) for text, style in pieces])
        self._console(stream).print(joined, end=end, soft_wrap=True, highlight=False)

    def _console(self, stream: TextIO) -> Console:
        from rich.console import Console

        return self._consoles.setdefault(id(stream), Console(file=stream, emoji=False, markup=False))
