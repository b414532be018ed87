"""The columns of the grid, and the one table of cells that do not hold yet, each with what completes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COLUMNS: Final[Mapping[str, str]] = {
    "restart": "an orderly stop, the command line alone, and a start again: each row is read back and means the same",
    "kill −9": "killed during writes, at each step of a call: what was acknowledged is there, nothing is half done",
    "second process": "two processes on one data directory, one of them asleep while things end",
    "older copy": "the registers are replaced by a copy from before anything was used or ended",
    "full disk": "the disk is full while agents act and people stop them; then there is space again, and a restart",
    "read-only": "the disk is read-only while agents act and people stop them; then writable again, and a restart",
    "unreadable row": "one row of every table is corrupted: it is out of use and named, or restored from the ledger",
    "clock": "set an hour back and a day ahead, while the server runs and at a start",
    "two doors": "the command line, the control API and a third party with a copy give the same answers",
    "stranger": "the ledger's records are verified elsewhere, with the log's key only",
    "reader during load": "64 readers and a hostile agent beside everything that is prepared, used and ended",
}
LEFT_OUT: Final[Mapping[str, str]] = {
    "erased subject": "no endpoint erases a person yet; PROJECT-27 tests a start without a key.",
    "upgrade": "no version has been released; the tests of each register open files of earlier forms.",
}
"""What a feature will be held to besides, by column, and why there is no test of it here."""
_OTHER_LOG: Final = "issue 11: each process tells and lists the incidents of its own log only."
LATER: Final[Mapping[tuple[str, str], str]] = {
    ("second process", "incident"): _OTHER_LOG,
}
"""By column and row: what issue 11 completes."""
WAITING: Final[Mapping[tuple[str, str], str]] = {}
"""By column and row: what a finding of this issue still owes. Empty at its end."""
