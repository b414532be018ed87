"""What it costs that registers follow the ledger: a start with nothing to do, a whole catch-up, and to confirm; and how
long `answerable up` takes until its gateway opens where the registers are an older copy.

Run with `./dev bench catching_up`. In the first three entries come from memory, so that reading the log is not in it:
a hundred mandates, and else intents and ends that no register takes anything from, as nearly all entries are. For the
starts a real server did 10,000 actions, which are 20,000 entries, and copies of its registers were made meanwhile;
`--up COUNT` says another number of entries.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from governed import SETTINGS, Caller, prepared
from house import House, until_open

from answerable.adapters.sqlite import SqliteProjections, SqliteStore
from answerable.flows.recovery.project_ledger import Log, catch_up, confirm
from answerable.testing.builders import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.ledger.entry import StoredEntry

ENTRIES = 100_000
CONFIRMED = 10_000
ENTRIES_UP = 20_000
STARTS = 3
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


async def _key_of(house: House) -> SigningKey:
    async with prepared(house) as made:
        return made.key


def starts(place: Path, count: int) -> dict[str, tuple[float, float]]:
    """Seconds from the start of `up` until its gateway opens, on the clock and of CPU, by how many entries the
    registers are behind: the least of STARTS."""
    house = House(place, SETTINGS)
    caller_key = asyncio.run(_key_of(house))
    copies: dict[str, Path] = {}
    behind = [count, count // 20, 10]
    with house.up() as server:
        caller = Caller(server.gateway, caller_key)
        try:
            caller.call()
            whole = server.entries() + count
            for wanted in behind:
                for _ in range((whole - wanted - server.entries()) // 2):
                    caller.call()
                copies[f"{wanted} entries behind"] = _copied(house, wanted)
            for _ in range(5):
                caller.call()
        finally:
            caller.close()
    copies["nothing to do"] = _copied(house, 0)
    found: dict[str, tuple[float, float]] = {}
    for name, copy in copies.items():
        each = [_opened(house, copy) for _ in range(STARTS)]
        found[name] = min(clock for clock, _ in each), min(cpu for _, cpu in each)
    return found


def _copied(house: House, number: int) -> Path:
    copy = house.root / f"copy-{number}.db"
    with (
        closing(sqlite3.connect(house.data / "answerable.db")) as live,
        closing(sqlite3.connect(copy)) as kept,
    ):
        live.backup(kept)
    return copy


def _opened(house: House, copy: Path) -> tuple[float, float]:
    for name in ("answerable.db-wal", "answerable.db-shm"):
        (house.data / name).unlink(missing_ok=True)
    shutil.copyfile(copy, house.data / "answerable.db")
    with house.starting() as server:
        until_open(server.gateway, server.process)
        return time.monotonic() - server.begun, server.cpu_seconds()


def main(count: int, entries_up: int = ENTRIES_UP) -> None:
    """Measure, and print CPU times, and of the starts times as a clock shows them."""
    bench = asyncio.run(_lived())
    find = bench.recorder.subject_keys.find
    entries = _long([*bench.recorder.ledger.replay()], count)

    def log(until: int) -> Log:
        def replayed(start: int) -> Iterator[StoredEntry]:
            return iter(entries[start:until])

        return Log(bench.recorder.ledger.origin, replayed)

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
        if entries_up:
            for name, (clock, cpu) in starts(Path(place), entries_up).items():
                print(f"`answerable up` until its gateway opens, {name}: {clock:.2f} s, {cpu:.2f} s of CPU")


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("entries", nargs="?", type=int, default=ENTRIES)
    given.add_argument("--up", type=int, default=ENTRIES_UP, help="0 for no starts")
    chosen = given.parse_args()
    main(chosen.entries, chosen.up)
