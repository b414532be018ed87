"""What it costs that registers follow the ledger: a start with nothing to do, a whole catch-up, and to confirm.

Run with `./dev bench catching_up`. Entries come from memory, so that reading the log is not in it:
a hundred mandates, and else intents and ends that no register takes anything from, as nearly all entries are.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from answerable.adapters.sqlite import SqliteProjections, SqliteStore
from answerable.flows.project_ledger import Log, catch_up, confirm
from answerable.testing.builders import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.core.ledger.entry import StoredEntry

ENTRIES = 100_000
CONFIRMED = 10_000
MANDATES = 100


async def _lived() -> Bench:
    bench = await Bench().registered()
    for number in range(MANDATES):
        await bench.issue(f"m-{number}")
    for number in range(MANDATES * 10):
        await bench.act(mandate=f"m-{number % MANDATES}")
    return bench


def _long(entries: list[StoredEntry], count: int) -> list[StoredEntry]:
    """The same log, its actions repeated up to so many entries: what a replay gives, without its disk."""
    acted = entries[-MANDATES * 20 :]
    kept = [*entries]
    while len(kept) < count:
        one = acted[len(kept) % len(acted)]
        kept.append(
            type(one)(
                index=len(kept),
                tag=one.tag,
                leaf=one.leaf,
                attachment=one.attachment,
                leaf_hash=one.leaf_hash,
            )
        )
    return kept


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main(count: int) -> None:
    """Measure, and print CPU times."""
    bench = asyncio.run(_lived())
    find = bench.walk.subject_keys.find
    entries = _long([*bench.walk.ledger.replay()], count)

    def log(until: int) -> Log:
        def replayed(start: int) -> Iterator[StoredEntry]:
            return iter(entries[start:until])

        return Log(bench.walk.ledger.origin, replayed)

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "registers.db"
        with closing(SqliteStore.open(path)) as store:
            registers = SqliteProjections(store, path)
            before = len(entries) - CONFIRMED
            whole = _timed(lambda: catch_up(registers, [log(before)], find))
            print(
                f"catch-up from nothing: {whole:.2f} s for {before} entries, {whole / before * 1e6:.1f} us each"
            )
            done = _timed(lambda: confirm(registers, log(len(entries)), find))
            print(f"confirm: {done / CONFIRMED * 1e6:.1f} us an entry, {CONFIRMED} entries at once")
            idle = min(_timed(lambda: catch_up(registers, [log(len(entries))], find)) for _ in range(5))
            print(f"a start with nothing to do: {idle * 1e3:.2f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES)
