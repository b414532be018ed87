"""CSV (RFC 4180), harmless to terminals and to spreadsheets."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Final, TextIO

from answerable.apps.cli.terminal import printing, safe
from answerable.errors.codes.services import CLI_CSV

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.apps.cli.terminal import Terminal

_FORMULA: Final = ("=", "+", "-", "@")
"""Characters with which a cell begins that a spreadsheet would calculate."""


def check_form(terminal: Terminal, *, as_csv: bool) -> None:
    """Check that one form of output was asked for. Raises Malformed (`cli.csv`)."""
    if as_csv and terminal.as_json:
        raise CLI_CSV()


def print_row(cells: Iterable[object]) -> None:
    """Print one row.

    Non-printable characters are written as their code; text that a spreadsheet would calculate begins with an
    apostrophe. Numbers are written as they are, None as an empty cell. Raises as `printing`.
    """
    with printing():
        write_row(sys.stdout, cells)


def write_row(file: TextIO, cells: Iterable[object]) -> None:
    """Write one row to a file, as `print_row` prints it."""
    csv.writer(file).writerow([_cell(one) for one in cells])


def _cell(value: object) -> object:
    if value is None or isinstance(value, int):
        return value
    text = safe(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
