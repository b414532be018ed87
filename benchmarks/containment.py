"""What a stop costs and how soon nothing happens any more: `./dev bench containment [--json] [--quick]`.

From the press to the last new effect, of two processes at 1,000 actions/s; ten thousand descendants of one root that is
held; the look that every action takes; the walk with ten thousand holds that stand, in turn with one that has none.

Peers: a look into a set, the least that any check can cost, and a read of the number by a system call, which is what a
check without shared memory would ask. The limits are those of issue 6.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import uvloop
from course import Scratch, channel_messages, course
from stopping import Acting
from walk import run

from answerable.adapters.sqlite import SqliteHoldRegister, SqliteRevocationRegister, SqliteStore
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.containment.hold import ID_BYTES, Hold, HoldTarget, hold_id

RATE: Final = 1_000.0
PRESSES: Final = 60
DESCENDANTS: Final = 10_000
STANDING: Final = 10_000
LOOKS: Final = 300_000
NAMES: Final = 16
PAIRS: Final = 7
ACTIONS: Final = 3_000
CALLERS: Final = 64

Line = dict[str, Any]


def main() -> None:
    """Measure and print; exit code 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see that it runs")
    wanted = parser.parse_args()
    share = 10 if wanted.quick else 1
    lines: list[Line] = []
    for part in (presses, descendants, looks, walks):
        lines += part(share)
    if wanted.json:
        figures = {f"{line['name']}, {line['unit']}": line["value"] for line in lines}
        print(json.dumps({"bench": "containment", "machine": _machine(), "figures": figures}))
    else:
        print(_machine())
        for line in lines:
            limit = f"   at most {line['limit']:,.1f}" if line["limit"] is not None else ""
            print(f"{line['name']:<74} {line['value']:>12,.3f} {line['unit']}{limit}")
    missed = [line for line in lines if line["limit"] is not None and line["value"] > line["limit"]]
    sys.exit(1 if missed and not wanted.quick else 0)


def presses(share: int) -> list[Line]:
    """A hold is placed in one of two processes that act; how long until neither starts anything any more."""
    chance = random.Random(7)
    last: list[float] = []
    whole: list[float] = []
    late, effects, acting = 0, 0, 0.0
    with Scratch() as folder:
        one, other = Acting(folder, "a", RATE / 2), Acting(folder, "b", RATE / 2)
        try:
            time.sleep(1.0)
            for process in (one, other):
                process.ask("effects")
            for _ in range(PRESSES // share):
                begun = time.perf_counter()
                time.sleep(0.2 + chance.random() * 0.1)
                pressed, returned = one.ask("press")
                time.sleep(0.1)
                starts = [at for process in (one, other) for at in process.ask("effects")]
                after = [at - pressed for at in starts if at > pressed]
                last.append(max(after, default=0.0) * 1000)
                whole.append((returned - pressed) * 1000)
                late += sum(at > returned for at in starts)
                effects += len(starts)
                acting += pressed - begun
                one.ask("lift")
        finally:
            one.end()
            other.end()
    last.sort()
    return [
        _line("actions done by both processes before each press", effects / acting, "a second"),
        _line("from the press to the last new effect, p50", last[len(last) // 2], "ms"),
        _line("from the press to the last new effect, p99", last[len(last) * 99 // 100], "ms", 1000.0),
        _line("from the press until all of it was done and on record, p50", statistics.median(whole), "ms"),
        _line("effects that started after that", late, "of " + str(effects), 0.0),
    ]


def descendants(share: int) -> list[Line]:
    """A root is held here; how long until another process refuses each of what is below it, too."""
    count = DESCENDANTS // share
    with TemporaryDirectory() as folder:
        file = Path(folder) / "registers.db"
        store, holds = _opened(file)
        here, there = multiprocessing.get_context("spawn").Pipe()
        other = multiprocessing.get_context("spawn").Process(target=_watch, args=(there, str(file), count))
        other.start()
        here.recv()
        started = time.monotonic()
        holds.place(_hold(HoldTarget("mandate", "m-0")))
        returned = time.monotonic()
        first, every = here.recv()
        other.join()
        store.close()
    return [
        _line("holding a root returned after", (returned - started) * 1000, "ms"),
        _line("another process refused its first descendant after", (first - started) * 1000, "ms"),
        _line(f"another process had refused all {count:,} after", (every - started) * 1000, "ms", 1000.0),
    ]


def _watch(pipe: Connection, file: str, count: int) -> None:
    """Asks as a walk does for a chain: each descendant with its root, until every one of them is refused."""
    _, holds = _opened(Path(file))
    clock = SystemClock()
    chains = [(HoldTarget("mandate", f"m-{number}"), HoldTarget("mandate", "m-0")) for number in range(count)]
    pipe.send("ready")
    while holds.find(chains[0], clock.now()) is None:
        pass
    first = time.monotonic()
    if any(holds.find(chain, clock.now()) is None for chain in chains):
        raise SystemExit("a descendant was let through after its root was held")
    pipe.send((first, time.monotonic()))


def looks(share: int) -> list[Line]:
    """The look that every action takes twice, while nothing is new."""
    count = LOOKS // share
    with TemporaryDirectory() as folder:
        store, holds = _opened(Path(folder) / "registers.db")
        names = tuple(HoldTarget("agent", f"agent-{number}") for number in range(NAMES))
        descriptor = os.open(Path(folder) / "registers.epoch", os.O_RDONLY)
        known = frozenset(range(100))
        # A busy machine slows everything down alike, so that the limit moves with what the look saves.
        system_call = _each(lambda: os.pread(descriptor, 8, 0), count)
        found = [
            _line("epoch, nothing new", _each(holds.epoch, count), "µs", max(0.5, system_call / 2)),
            _line(
                f"what stands on {NAMES} names, nothing held",
                _each(lambda: holds.standing(names), count),
                "µs",
            ),
        ]
        holds.put_back([_hold(HoldTarget("mandate", f"m-{number}")) for number in range(STANDING // share)])
        holds.epoch()
        found += [
            _line(
                f"what stands on {NAMES} names, {STANDING // share:,} others held",
                _each(lambda: holds.standing(names), count),
                "µs",
            ),
            _line("peer: a look into a set", _each(lambda: 7 in known, count), "µs"),
            _line("peer: reading the number by a system call", system_call, "µs"),
        ]
        os.close(descriptor)
        store.close()
    return found


def walks(share: int) -> list[Line]:
    """CPU of the whole walk without holds and with ten thousand that stand on others, in turn."""
    count, pairs = ACTIONS // share, max(3, PAIRS // share)
    with Scratch() as folder:
        made = []
        for name, standing in (("none", 0), ("many", STANDING // share)):
            (folder / name).mkdir()
            store = SqliteStore.open(folder / f"{name}.db")
            one = course(folder / name, shared=store)
            one.walk.authority.holds.put_back(
                [_hold(HoldTarget("mandate", f"m-{n}")) for n in range(standing)]
            )
            made.append((one, channel_messages(one)))

        async def measure() -> list[tuple[float, float]]:
            rows: list[tuple[float, float]] = []
            for number in range(pairs + 1):
                pair = []
                # Each comes first as often as the other.
                for one, messages in made if number % 2 else made[::-1]:
                    some = [next(messages) for _ in range(count)]
                    pair.append((await run(one, some, CALLERS, 600.0)).cpu_us)
                if number:
                    rows.append((pair[0], pair[1]) if number % 2 else (pair[1], pair[0]))
            for one, _ in made:
                await one.ledger.close()
            return rows

        rows = uvloop.run(measure())
    return [
        _line("walk, nothing held", statistics.median(none for none, _ in rows), "µs CPU"),
        _line(
            f"walk, {STANDING // share:,} holds stand", statistics.median(many for _, many in rows), "µs CPU"
        ),
        _line(
            "  difference of two in turn, median",
            statistics.median(many - none for none, many in rows),
            "µs CPU",
            5.0,
        ),
        _line(
            "  spread of these differences", statistics.pstdev(many - none for none, many in rows), "µs CPU"
        ),
    ]


def _opened(file: Path) -> tuple[SqliteStore, SqliteHoldRegister]:
    store = SqliteStore.open(file)
    return store, SqliteHoldRegister(store, SqliteRevocationRegister(store, clock=SystemClock()))


def _hold(what: HoldTarget) -> Hold:
    return Hold(id=hold_id(SystemEntropy().bytes(ID_BYTES)), what=what, at=SystemClock().now(), by="bench")


def _each(action: Any, count: int) -> float:
    """Microseconds of one call, the best of three rounds."""
    rounds = []
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(count):
            action()
        rounds.append((time.perf_counter() - started) / count * 1e6)
    return min(rounds)


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"
    )


def _line(name: str, value: float, unit: str, limit: float | None = None) -> Line:
    return {"name": name, "value": value, "unit": unit, "limit": limit}


if __name__ == "__main__":
    main()
