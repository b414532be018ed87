"""The columns of the grid, and the one table of cells that do not hold yet, each with what completes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COLUMNS: Final[Mapping[str, str]] = {
    "restart": "an orderly stop, the command line alone, and a start again: each row is read back and means the same",
    "kill −9": "killed while every row is written: what was acknowledged is there, what was not is there or not",
    "second process": "two processes on one data directory, one of them asleep while things end; both at once",
}
LATER: Final[Mapping[tuple[str, str], str]] = {
    (
        "second process",
        "search and story",
    ): "issue 11: each process tells the stories of its own log, until an index covers all.",
}
"""By column and row: what issue 11 completes."""
WAITING: Final[Mapping[tuple[str, str], str]] = {}
"""By column and row: what a finding of this issue still owes. Empty at its end."""
