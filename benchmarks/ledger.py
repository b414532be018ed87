"""The ledger beside the disk it stands on: `./dev bench ledger [--json]`.

*Bare frames*: entries made beforehand and nothing sealed, so that only framing, hashing, chaining and group commit are
measured. *All
features*: each action builds its intent, with salted commitments, encryption under a wrapped key and a place in a run,
waits until it is durable, takes the signed head of its batch, then does the same with its outcome: two durable records.
Tiles and checkpoints are made meanwhile, as `answerable up` makes them.

The raw log and SQLite stand in the same run, on the same disk, with the same grouping and records of the same size.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import raw_log
import uvloop
from course import DEFAULTS, Course, Scratch, channel_messages, course, one_action
from deep_proof import deep_proof
from ledger_records import Prepared, prepared
from sqlite_log import sqlite_group_commit

from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.core.ledger.batch_head import BatchHead, ReceivedHead
from answerable.core.ledger.codec import FRAME_HEADER_BYTES, SEGMENT_BYTES_MAX
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.verify.ledger_history import verify_ledger

CALLERS = (1, 16, 64, 256)
SECONDS = 2.0
VERIFIED_ACTIONS = 200_000
SEAL_SECONDS = 1.0
ROUNDS = 5
RECORD_BYTES = 1024
LEAF_BYTES = 448
UNSEALED = TlogFilesSettings(seal_unsealed_bytes=SEGMENT_BYTES_MAX // 2, unsealed_bytes_max=SEGMENT_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Measured:
    """rate: records or actions a second. cpu_us: process CPU of each. Latencies in milliseconds."""

    rate: float
    cpu_us: float
    p50: float
    p99: float
    intent_p50: float


async def closed_loops(
    act: Callable[[list[float]], Awaitable[None]],
    ledger: TlogFilesLedger,
    callers: int,
    seconds: float,
    *,
    sealing: bool = True,
) -> Measured:
    """`callers` loops until the time is over, with checkpoints beside them. act: notes when its intent is durable."""
    took: list[float] = []
    intents: list[float] = []
    beside = asyncio.ensure_future(ledger.seal_every(SEAL_SECONDS)) if sealing else None
    gc.collect()
    gc.freeze()
    cpu, begun = time.process_time(), time.perf_counter()
    stop_at = begun + seconds

    async def call() -> None:
        while (start := time.perf_counter()) < stop_at:
            marks: list[float] = []
            await act(marks)
            took.append(time.perf_counter() - start)
            if marks:
                intents.append(marks[0] - start)

    await asyncio.gather(*(call() for _ in range(callers)))
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    gc.unfreeze()
    if beside is not None:
        beside.cancel()
        with suppress(asyncio.CancelledError):
            await beside
    took.sort()
    return Measured(
        rate=len(took) / wall,
        cpu_us=cpu / len(took) * 1e6,
        p50=took[len(took) // 2] * 1000,
        p99=took[len(took) * 99 // 100] * 1000,
        intent_p50=statistics.median(intents) * 1000 if intents else 0.0,
    )


def bare(callers: int, seconds: float) -> Measured:
    """Durable records a second of entries made beforehand, as large as the peers' records; nothing is sealed."""

    async def main(made: Course) -> Measured:
        entry = await _bare_entry(made)

        async def act(_: list[float]) -> None:
            await made.ledger.append(entry)

        return await closed_loops(act, made.ledger, callers, seconds, sealing=False)

    return _on_fresh_log(main, settings=UNSEALED, orderly=False)


def bare_rate(callers: int, seconds: float) -> float:
    """The same with nothing noted for each record, in the very loop that the raw file and SQLite are measured in."""

    async def run(made: Course) -> float:
        entry = await _bare_entry(made)
        append = partial(made.ledger.append, entry)
        return await raw_log.records_per_second(append, callers=callers, seconds=seconds)

    with Scratch() as directory:
        return uvloop.run(run(course(directory, settings=UNSEALED)))


async def _bare_entry(made: Course) -> Entry:
    leaf = (await prepared(made)).bare.leaf
    filling = bytes(RECORD_BYTES - FRAME_HEADER_BYTES - LEAF_BYTES)
    return Entry(tag=Tag.OUTCOME, leaf=leaf[:LEAF_BYTES], attachment=filling)


def whole(callers: int, seconds: float) -> Measured:
    """Actions a second with all features, two durable records each."""

    async def main(made: Course) -> Measured:
        ready = await prepared(made)

        async def act(marks: list[float]) -> None:
            await _recorded_action(made, ready, marks)

        return await closed_loops(act, made.ledger, callers, seconds)

    return _on_fresh_log(main)


async def _recorded_action(made: Course, ready: Prepared, marks: list[float]) -> None:
    action_id = os.urandom(16).hex()
    intent, _ = await made.walk.recorder.intents.record(ready.mandate, partial(ready.intent, action_id))
    marks.append(time.perf_counter())
    _signed(intent.head)
    end, _ = await made.walk.recorder.intents.record(ready.mandate, partial(ready.outcome, action_id, intent))
    _signed(end.head)


def _signed(head: BatchHead | ReceivedHead | None) -> None:
    assert head is not None
    head.signed()


def _on_fresh_log(
    main: Callable[[Course], Awaitable[Measured]],
    *,
    settings: TlogFilesSettings = DEFAULTS,
    orderly: bool = True,
) -> Measured:
    with Scratch() as directory:
        made = course(directory, settings=settings)

        async def run() -> Measured:
            result = await main(made)
            if orderly:
                await made.ledger.close()
            return result

        return uvloop.run(run())


def ratios(seconds: float) -> tuple[float, float]:
    """Bare frames over the raw file and over SQLite at 64 callers: medians of the ratios within each round."""
    over_raw, over_sqlite = [], []
    for _ in range(ROUNDS):
        with Scratch() as scratch:
            raw = raw_log.raw_group_commit(scratch, callers=64, seconds=seconds, record_bytes=RECORD_BYTES)
            peer = sqlite_group_commit(scratch, callers=64, seconds=seconds, record_bytes=RECORD_BYTES)
        own = bare_rate(64, seconds)
        over_raw.append(own / raw)
        over_sqlite.append(own / peer)
    return statistics.median(over_raw), statistics.median(over_sqlite)


def walk_cpu_us(seconds: float) -> float:
    """Process CPU of one whole walk at 64 callers, checkpoints and tiles made meanwhile; the best of three."""

    async def main(made: Course) -> Measured:
        stream = channel_messages(made)
        messages = iter([next(stream) for _ in range(int(20_000 * seconds))])

        async def act(_: list[float]) -> None:
            await one_action(made, next(messages))

        return await closed_loops(act, made.ledger, 64, seconds)

    return min(_on_fresh_log(main).cpu_us for _ in range(3))


def verified(actions: int) -> tuple[float, float]:
    """Entries a second that `verify` checks on all cores, and seconds that opening the log takes after a kill."""
    with Scratch() as directory:
        made = course(directory)
        killed = directory / "killed"

        async def fill() -> None:
            ready = await prepared(made)
            sealing = asyncio.ensure_future(made.ledger.seal_every(SEAL_SECONDS))
            left = iter(range(actions))

            async def call() -> None:
                for _ in left:
                    await _recorded_action(made, ready, [])

            await asyncio.gather(*(call() for _ in range(256)))
            sealing.cancel()
            # What a kill would leave behind at this moment: no orderly close is on record.
            shutil.copytree(directory / "ledger", killed)
            await made.ledger.close()

        uvloop.run(fill())
        start = time.perf_counter()
        report = verify_ledger(directory / "ledger", processes=os.cpu_count() or 1)
        rate = report.size / (time.perf_counter() - start)
        if report.errors:
            raise SystemExit(f"the log that was just written does not verify: {report.findings[:3]}")
        command = [sys.executable, str(Path(__file__).with_name("reopening.py")), str(killed), str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return rate, float(done.stdout)


def main() -> None:
    """Measure, print a table or one JSON object."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument(
        "--actions", type=int, default=VERIFIED_ACTIONS, help="of the log that is verified"
    )
    options = arguments.parse_args()
    rows: list[dict[str, object]] = []
    best: dict[tuple[str, int], float] = {}

    def row(name: str, callers: int, **values: float) -> None:
        rows.append({"what": name, "callers": callers, **{k: round(v, 3) for k, v in values.items()}})
        best[name, callers] = values["rate"]
        if not options.json:
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)

    intent_p50 = 0.0
    with Scratch() as scratch:
        sync_ms = raw_log.single_fdatasync(scratch, 300).p50_ms
    for callers in CALLERS:
        with Scratch() as scratch:
            raw = raw_log.raw_group_commit(
                scratch, callers=callers, seconds=options.seconds, record_bytes=RECORD_BYTES
            )
            row("raw file", callers, rate=raw)
            peer = sqlite_group_commit(
                scratch, callers=callers, seconds=options.seconds, record_bytes=RECORD_BYTES
            )
            row("sqlite wal full", callers, rate=peer)
        for name, measure in (("bare frames", bare), ("all features", whole)):
            result = measure(callers, options.seconds)
            row(
                name, callers, rate=result.rate, cpu_us=result.cpu_us, p50_ms=result.p50, p99_ms=result.p99,
                intent_p50_ms=result.intent_p50,
            )  # fmt: skip
            if name == "all features" and callers == 1:
                intent_p50 = result.intent_p50
    entries_per_s, reopen_s = verified(options.actions)
    proof = deep_proof()
    over_raw, over_sqlite = ratios(options.seconds)
    figures = {
        "bare_over_raw_c64": over_raw,
        "bare_over_sqlite_full_c64": over_sqlite,
        "actions_per_s_c64": best["all features", 64],
        "intent_p50_over_raw_sync_c1": intent_p50 / sync_ms,
        "walk_cpu_us_per_action": walk_cpu_us(options.seconds),
        "verify_entries_per_s": entries_per_s,
        "reopen_after_kill_s": reopen_s,
        "proof_hashes_1e9": proof.hashes,
        "proof_bytes_1e9": proof.size,
        "proof_check_ms": proof.check_ms,
        "fdatasync_p50_ms": sync_ms,
    }
    load = os.getloadavg()[0]
    quiet = "quiet" if load < 1.5 else "contended"
    python = platform.python_version()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {python}, load {load:.1f} ({quiet})"
    if options.json:
        print(json.dumps({"bench": "ledger", "machine": machine, "rows": rows, "figures": figures}))
        return
    print(f"\n{machine}")
    for name, value in figures.items():
        print(f"  {name:32} {value:12.3f}")


if __name__ == "__main__":
    main()
