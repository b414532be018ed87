"""One entry of a long log, found by its index, beside bare reads of as many bytes at known places of the same files.

The log is written once, then opened anew; entries are asked for in the order of a page (the newest, one after the
other), in that of a story (any, in any order), and again once all of them were asked for. CPU, best of several rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from answerable.adapters.system import SystemClock
from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.testing.contracts.ledger import log_key

ENTRIES: Final = 80_000
QUICK_ENTRIES: Final = 3_000
ASKED: Final = 2_000
PAGE: Final = 400
ROUNDS: Final = 3
LEAF_TEXT: Final = "x" * 3_000
LIMIT_US: Final = 50
"""Of an entry that was passed before; the aim is 10."""


def main() -> None:
    """Print the table, or with `--json` one object."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--quick", action="store_true", help="a short log: to see that it works")
    chosen = options.parse_args()
    entries = QUICK_ENTRIES if chosen.quick else ENTRIES
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measured(Path(folder) / "log", entries))
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    if chosen.json:
        print(json.dumps({"bench": "ledger_entry", "machine": machine, "entries": entries, "rows": rows}))
        return
    print(f"{machine}, {entries:,} entries; limit {LIMIT_US} µs for an entry that was passed before")
    for row in rows:
        print(f"{row['what']:<44} {row['us']:>10,.1f} µs an entry")


async def measured(place: Path, entries: int) -> list[dict[str, Any]]:
    """Write it, open it anew, ask."""
    async with opened(place) as ledger:
        for first in range(0, entries, 64):
            await asyncio.gather(*(ledger.append(entry(number)) for number in range(first, first + 64)))
        ledger.seal()
    chance = random.Random(7)
    async with opened(place) as ledger:
        size = ledger.size
        page = range(size - 1, size - 1 - PAGE, -1)
        anywhere = [chance.randrange(size) for _ in range(ASKED)]
        rows = [{"what": f"the newest {PAGE}, first time", "us": microseconds(ledger.entry, page, rounds=1)}]
        rows += [{"what": f"the newest {PAGE}, again", "us": microseconds(ledger.entry, page)}]
        rows += [{"what": "anywhere, first time", "us": microseconds(ledger.entry, anywhere, rounds=1)}]
        for index in range(0, size, 128):
            ledger.entry(index)
        rows += [{"what": "anywhere, all passed before", "us": microseconds(ledger.entry, anywhere)}]
    return [*rows, {"what": "bare: open, seek and read 4 KiB", "us": bare(place)}]


def opened(place: Path) -> TlogFilesLedger:
    """With the key of the tests' logs."""
    key, sign = log_key()
    patient = TlogFilesSettings(append_wait_seconds_max=60.0)
    return TlogFilesLedger.open(place, key=key, sign=sign, clock=SystemClock(), settings=patient)


def entry(number: int) -> Any:
    """About as long as an intent with its attachment."""
    return sealed_entry(Tag.REFUSAL, at=SystemClock().now(), members={"number": number, "text": LEAF_TEXT})


def microseconds(ask: Callable[[int], object], indexes: Sequence[int], *, rounds: int = ROUNDS) -> float:
    """CPU of each, in the best round."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time()
        for index in indexes:
            ask(index)
        best = min(best, time.thread_time() - began)
    return best / len(indexes) * 1e6


def bare(place: Path) -> float:
    """What the file system alone takes."""
    files = sorted((place / "wal").iterdir())
    largest = max(files, key=lambda one: one.stat().st_size)
    size = largest.stat().st_size

    def read(offset: int) -> bytes:
        with largest.open("rb", buffering=0) as file:
            file.seek(offset % max(size - 4096, 1))
            return file.read(4096)

    return microseconds(read, range(0, 4096 * ASKED, 4096))


if __name__ == "__main__":
    main()
