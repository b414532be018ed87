"""Settings of the process that answers searches."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from answerable.setting_fields import about, flag, number


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """The process that alone reads the ledger for questions, and writes the search index."""

    enabled: bool = flag(
        True,
        "run a process that answers searches, stories and what pages show of activity; without it, `answerable search` "
        "and its like read the ledger's files themselves, and neither the control API nor the console tells any; no "
        "policy or stop rule is tried on the past then, and no use of leases counted",
    )
    socket: Path = field(
        default=Path("search.sock"),
        metadata=about(
            "Unix socket of that process; only the user who runs it, and root, are answered", unit="path"
        ),
    )
    start_entries: int = number(
        1_000,
        "entries of the ledger from which on that process runs; below, the first question starts it",
        unit="entries",
        minimum=0,
        maximum=10_000_000,
    )
