"""The columns of the grid, and the one table of cells that do not hold yet, each with what completes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COLUMNS: Final[Mapping[str, str]] = {
    "restart": "an orderly stop, the command line alone, and a start again: each row is read back and means the same",
    "kill −9": "killed while all is written, at each moment of a call: what was acknowledged is there, nothing by half",
    "second process": "two processes on one data directory, one of them asleep while things end",
    "older copy": "the registers are put back to a copy from before anything was used or ended",
    "full disk": "not a byte is left while agents act and people stop them; then there is room again, and a restart",
    "read-only": "the disk takes nothing while agents act and people stop them; then it does again, and a restart",
    "unreadable row": "one row of every table is spoilt: it is out of use and named, or as the ledger says again",
    "clock": "an hour back and a day ahead, while the server runs and at a start",
    "two doors": "the command line, the control API and a stranger with a copy are asked the same",
    "stranger": "what the ledger says of it is checked elsewhere, with the key of the log and nothing else of ours",
    "reader during load": "64 readers and a hostile agent beside everything that is prepared, used and ended",
}
LEFT_OUT: Final[Mapping[str, str]] = {
    "erased subject": "no door erases a person yet; what a start does once a key is gone is held by PROJECT-27.",
    "upgrade": "no version has been handed out; a file of an earlier form is opened by the tests of its register.",
}
"""What a feature will be held to besides, by column, and why there is no test of it here."""
_OTHER_LOG: Final = "issue 11: each process tells the stories of its own log, until one index covers all."
LATER: Final[Mapping[tuple[str, str], str]] = {
    ("second process", "refusal"): _OTHER_LOG,
    ("second process", "search and story"): _OTHER_LOG,
    (
        "older copy",
        "refusal",
    ): "issue 11: the story of a stranger is told, but `agent seen` forgets whom it saw after the copy.",
}
"""By column and row: what issue 11 completes."""
WAITING: Final[Mapping[tuple[str, str], str]] = {}
"""By column and row: what a finding of this issue still owes. Empty at its end."""
