"""A process that writes a ledger until it is told, killed or refused to. Run by the fault tests, as a program.

Each acknowledged entry becomes a line `ack INDEX LEAF_HASH` on standard output, in one write after its append returned;
each refused one a line `refused CODE EFFECT`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from answerable.adapters.system import SystemClock
from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.errors import Broken, Unavailable
from answerable.testing.contracts.ledger import log_key, owed_entry, refusal_entry

SETTINGS = TlogFilesSettings(segment_bytes=65_536, append_wait_seconds_max=2.0)


def told(line: str) -> None:
    """One write, so that a kill leaves whole lines."""
    os.write(1, f"{line}\n".encode())


def opened(directory: Path, commit: str) -> TlogFilesLedger:
    """The log, with small segments."""
    key, sign = log_key()
    settings = TlogFilesSettings(
        segment_bytes=SETTINGS.segment_bytes,
        append_wait_seconds_max=SETTINGS.append_wait_seconds_max,
        allocation_retry_seconds=0.05,
        commit="thread" if commit == "thread" else "inline",
    )
    return TlogFilesLedger.open(directory, key=key, sign=sign, clock=SystemClock(), settings=settings)


async def write(
    directory: Path, *, commit: str, callers: int, entries: int, seal_seconds: float, settle_seconds: float
) -> None:
    """Append `entries` entries with so many callers, then close."""
    ledger = opened(directory, commit)
    told(f"ready {ledger.size}")
    # Lets the spare segment be made, so that system calls come in the same order every time.
    await asyncio.sleep(settle_seconds)
    numbers = iter(range(entries))

    async def call() -> None:
        for number in numbers:
            entry = (
                owed_entry(number)
                if number % 5 == 0
                else refusal_entry(number, b"p" * (number * 37 % 900 + 1))
            )
            try:
                receipt = await ledger.append(entry)
            except Unavailable as refused:
                told(f"refused {refused.code} {refused.effect}")
            else:
                told(f"ack {receipt.index} {receipt.leaf_hash.hex()}")

    sealing = asyncio.ensure_future(ledger.seal_every(seal_seconds))
    await asyncio.gather(*(call() for _ in range(callers)))
    sealing.cancel()
    try:
        await ledger.close()
        told("closed")
    except (Unavailable, Broken) as failed:
        told(f"not closed {failed.code}")


def killed_again_and_again(directory: Path, *, rounds: int, seed: int, commit: str) -> None:
    """Fork a writer, kill it after a random moment, pass on what it had said; again and again on the same log."""
    chance = random.Random(seed)
    for _ in range(rounds):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writing, 1)
            asyncio.run(
                write(
                    directory, commit=commit, callers=16, entries=10**9, seal_seconds=0.005, settle_seconds=0
                )
            )
            os._exit(1)
        os.close(writing)
        said = b""
        while b"\n" not in said:
            said += os.read(reading, 65_536)
        kill_at = time.monotonic() + chance.uniform(0.0, 0.06)
        while (left := kill_at - time.monotonic()) > 0:
            if select.select([reading], [], [], left)[0]:
                said += os.read(reading, 65_536)
        os.kill(child, signal.SIGKILL)
        while more := os.read(reading, 65_536):
            said += more
        os.close(reading)
        os.waitpid(child, 0)
        sys.stdout.buffer.write(said)
        told("killed")
        sys.stdout.buffer.flush()


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--commit", default="inline")
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--entries", type=int, default=40)
    parser.add_argument("--seal-seconds", type=float, default=0.01)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.kills:
        killed_again_and_again(given.directory, rounds=given.kills, seed=given.seed, commit=given.commit)
        return
    try:
        asyncio.run(
            write(
                given.directory,
                commit=given.commit,
                callers=given.callers,
                entries=given.entries,
                seal_seconds=given.seal_seconds,
                settle_seconds=0.05,
            )
        )
    except (Unavailable, Broken) as failed:
        told(f"not opened {failed.code}")


if __name__ == "__main__":
    main()
