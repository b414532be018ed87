"""Runs the tests in several plain pytest processes that share one list of files: `run_tests.py [PATH]... [-- OPTIONS]`.

Each process takes the next file when it is done with one (`in_turn.py`), so no core is idle to the end. Files that took
longest come first; with `--changed`, those of which it is worth knowing what they run, a few of a folder at a time in a
process of their own. With `--within`, what would take longer than that is not begun; what is nearest to what changed
comes first then. Failures are shown when they happen; at the end what failed, what was skipped and why, what was left
out, and where the time went.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from batches import Batch, batches, keep_seconds, nearest_first, test_files
from memory_disk import memory_disk
from run_folder import VARIABLE, run_folder
from test_worker import NOTING
from unchanged import Ran, Unchanged

ROOT = Path(__file__).resolve().parent.parent
TOLD_EVERY_SECONDS = 30.0
END_SECONDS = 30.0
WORKERS = 6
"""Three for each core of the machine that this is measured on: more than half of what tests take is waiting."""
NO_TESTS = 5
MANY_FILES = 20
"""So many, and workers are forked from one that has read what they need. Below, each reads what little it needs."""
READ_BEFORE = ("hypothesis.stateful", "hypothesis.strategies", "pytest")
"""Besides the product."""
NOTED = "what_ran:begin"
SPOILT_LINES = 60
COSTLIEST = 40
"""So many files are named by what they took: a third of what all take."""


@dataclass
class Worker:
    """A pytest process. handed: its files so far. left: those that are for it. last: the test that it began last. log:
    what it prints. keeps: whether something may be left in it of a file, which then would need less than it says."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    log: IO[bytes]
    read: bytes = b""
    handed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    last: str = ""
    keeps: bool = False

    def hand(self, waiting: list[Batch]) -> None:
        """What it asks for, of these; None where there is none for it."""
        found: str | tuple[str, ...] | None = None
        fit = () if self.left else (one for one in waiting if not (one.noted and self.keeps))
        if batch := next(iter(fit), None):
            waiting.remove(batch)
            found = batch.files if batch.noted else None
            (self.handed if batch.noted else self.left).extend(batch.files)
            self.keeps = not batch.noted
        if self.left:
            found = self.left.pop(0)
            self.handed.append(found)
        self.channel.sendall(json.dumps(found).encode() + b"\n")

    def take_back(self) -> list[str]:
        """Its files that it was not handed."""
        left, self.left = self.left, []
        return left

    @property
    def ended_in(self) -> str:
        """The test that it ran when it ended, or the file that it read then."""
        rest = self._rest()
        return rest[-1] if self.keeps and rest else self.last or "no test"

    @property
    def not_begun(self) -> list[str]:
        """Files that it has and of which it began no test after this one's, without one that ended it."""
        rest = self._rest()
        return (rest[:-1] if self.keeps else rest) + self.left

    def _rest(self) -> list[str]:
        file = self.last.partition("::")[0]
        return self.handed[self.handed.index(file) + 1 if file in self.handed else 0 :]

    def lines(self) -> list[dict[str, Any]] | None:
        """What it told since; None at its end."""
        try:
            octets = self.channel.recv(1 << 20)
        except ConnectionResetError:
            octets = b""
        if not octets:
            return None
        *whole, self.read = (self.read + octets).split(b"\n")
        return [json.loads(line) for line in whole]


@dataclass
class Told:
    """What the tests came to. failed: test and text. seconds, cpu: by file, the latter of its processes too. ran: what
    those did that were noted; before: functions that ran when modules were read. late: files for which no time was
    left."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    warned: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    unclean: set[str] = field(default_factory=set)
    ran: dict[str, Ran] = field(default_factory=dict)
    before: set[tuple[str, str]] = field(default_factory=set)
    late: list[str] = field(default_factory=list)

    def take(self, line: dict[str, Any]) -> None:
        """A line of a worker that asks for nothing."""
        if "deselected" in line:
            self.counts["left out"] += len(line["deselected"])
        elif "warned" in line:
            self.warned[line["warned"]] += 1
        elif "done" in line:
            self.seconds[line["done"]] = line["seconds"]
            self.cpu[line["done"]] = line["cpu"]
            if "functions" in line:
                self.ran[line["done"]] = Ran(line["functions"], line["opened"], line["started"])
        elif "before" in line:
            self.before.update(map(tuple, line["before"]))
        else:
            self._test(line)

    def _test(self, line: dict[str, Any]) -> None:
        file, outcome = line["test"].partition("::")[0], line["outcome"]
        if outcome == "failed":
            self.fail(line["test"] + ("" if line["when"] == "call" else f" ({line['when']})"), line["shown"])
        elif outcome == "skipped":
            self.counts["skipped"] += 1
            self.skipped[line["shown"]] += 1
            self.unclean.add(file)
        elif line["when"] == "call":
            self.counts[outcome] += 1

    def fail(self, test: str, text: str) -> None:
        """Say so at once."""
        self.counts["failed"] += 1
        self.failed.append((test, text))
        self.unclean.add(test.partition("::")[0])
        print(f"\nFAILED {test}\n{text}\n", flush=True)


def started(options: Sequence[str]) -> Worker:
    """A worker that asks for its first file. options: of pytest, or NOTING before them."""
    ours, theirs = socket.socketpair()
    log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the worker lives
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tools/test_worker.py"), *options],
            cwd=ROOT,
            stdin=theirs.fileno(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Worker(process, ours, log)


def run(left: list[Batch], options: Sequence[str], *, workers: int, ends: float = math.inf) -> Told:
    """All of them; ended with us, however we end, and so are the servers that they share. ends: when nothing is begun
    any more, by the clock that never goes back."""
    files = sum(len(one.files) for one in left)
    noted = [NOTED] if any(one.noted for one in left) else []
    options = [NOTING, *options] if noted else options
    with memory_disk(), run_folder() as shared:
        os.environ[VARIABLE] = str(shared)
        with _one_reads(noted) if files >= MANY_FILES else nullcontext():
            return _run(left, options, workers, ends)


@contextmanager
def _one_reads(noted: Sequence[str]) -> Iterator[None]:
    """Meanwhile workers are forked from one process that has read the product and pytest."""
    sys.path.append(str(ROOT))
    from tests.probes import warm_starts

    warm_starts.install()
    warm_starts.begin(*noted, *READ_BEFORE)
    yield
    warm_starts.end(os.getpid())


def _run(left: list[Batch], options: Sequence[str], workers: int, ends: float) -> Told:
    told, begun, files = Told(), time.monotonic(), sum(len(one.files) for one in left)
    running = [started(options) for _ in range(min(workers, len(left)))]
    waiting = selectors.DefaultSelector()
    for first in running:
        waiting.register(first.channel, selectors.EVENT_READ, first)
    due, spare = begun + TOLD_EVERY_SECONDS, len(running)
    try:
        while waiting.get_map():
            for key, _ in waiting.select(timeout=1.0):
                worker: Worker = key.data
                if (lines := worker.lines()) is None:
                    waiting.unregister(worker.channel)
                    is_lost = not _ended_well(worker, told)
                    left += [Batch((one,)) for one in worker.not_begun if is_lost]
                    # Whatever keeps processes from their first file keeps the next ones from it, too.
                    spare -= is_lost and not worker.handed
                    if left and spare > 0 and (is_lost or not waiting.get_map()):
                        running.append(started(options))
                        waiting.register(running[-1].channel, selectors.EVENT_READ, running[-1])
                for line in lines or ():
                    if "ask" in line:
                        told.late += _late(left, worker, ends - time.monotonic())
                        worker.hand(left)
                    elif "begun" in line:
                        worker.last = line["begun"]
                    else:
                        told.take(line)
            if time.monotonic() >= due:
                due += TOLD_EVERY_SECONDS
                waits = sum(len(one.files) for one in left)
                print(f"  {_clock(begun)} {waits} of {files} files left, {_counted(told)}", flush=True)
    finally:
        _end(running)
    for batch in left:
        for file in batch.files:
            told.fail(file, "no process was left to run it")
    return told


def _late(left: list[Batch], worker: Worker, seconds: float) -> list[str]:
    """Files that would not be done in so many seconds, taken from what is left."""
    late = [one for one in left if one.seconds > seconds or seconds <= 0]
    left[:] = [one for one in left if one not in late]
    return [file for one in late for file in one.files] + (worker.take_back() if seconds <= 0 else [])


def _ended_well(worker: Worker, told: Told) -> bool:
    status = worker.process.wait()
    if status in (0, 1, NO_TESTS):
        return True
    worker.log.seek(0)
    tail = worker.log.read().decode("utf-8", "replace").splitlines()[-SPOILT_LINES:]
    told.fail(
        worker.last or (worker.handed or ["no test"])[-1],
        "\n".join([*tail, f"its process ended with {status} here"]),
    )
    return False


def _end(running: Iterable[Worker]) -> None:
    for worker in running:
        if worker.process.poll() is None:
            worker.process.send_signal(signal.SIGINT)
    for worker in running:
        try:
            worker.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            worker.process.kill()


def report(told: Told, begun: float, options: Sequence[str]) -> None:
    """What people look at when it is over."""
    if told.warned:
        print("\nwarnings")
        for text, count in sorted(told.warned.items()):
            print(f"  {count}x {text}")
    if told.skipped:
        print("\nskipped")
        for text, count in sorted(told.skipped.items()):
            print(f"  {count}x {text}")
    for test, _ in told.failed:
        print(f"FAILED {test}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    _report_folders(told, cpu)
    print(f"\n{_counted(told)} in {_clock(begun)}, {_minutes(cpu)} of CPU")
    if told.counts["left out"]:
        print(f"{told.counts['left out']} tests were left out by `{shlex.join(options)}`")


def _report_folders(told: Told, cpu: float) -> None:
    """The files that took most, and what each folder took. cpu: of all, of which a part belongs to no file."""
    costliest = sorted(told.cpu, key=told.cpu.__getitem__, reverse=True)[:COSTLIEST]
    print(f"\n{'costliest files':60} {'elapsed':>8} {'CPU':>8}")
    for file in costliest:
        print(f"{file:60} {_minutes(told.seconds[file]):>8} {_minutes(told.cpu[file]):>8}")
    folders: dict[str, list[str]] = {}
    for file in told.seconds:
        folders.setdefault("/".join(Path(file).parts[:2]), []).append(file)
    print(f"\n{'took':20} {'files':>5} {'elapsed':>8} {'CPU':>8}")
    for folder, files in sorted(folders.items()):
        took, used = (sum(map(one.__getitem__, files)) for one in (told.seconds, told.cpu))
        print(f"{folder:20} {len(files):5} {_minutes(took):>8} {_minutes(used):>8}")
        cpu -= used
    print(f"{'starts and ends':20} {'':5} {'':>8} {_minutes(cpu):>8}")


def _counted(told: Told) -> str:
    names = ("failed", "passed", "skipped", "xfailed", "left out")
    return ", ".join(f"{told.counts[name]:,} {name}" for name in names if told.counts[name]) or "no test yet"


def _clock(begun: float) -> str:
    return _minutes(time.monotonic() - begun)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    # Whoever starts us beside something else has it ignored, and so would all that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("paths", nargs="*", default=["tests"])
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument(
        "--changed", action="store_true", help="leave out files of which all passed as it is now"
    )
    parser.add_argument(
        "--within",
        type=float,
        default=math.inf,
        metavar="SECONDS",
        help="begin nothing that would take longer",
    )
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    wanted, options = parser.parse_args(given[:at]), given[at + 1 :]
    begun, files = time.monotonic(), test_files(wanted.paths)
    unchanged = Unchanged(options) if wanted.changed else None
    left = unchanged.left(files) if unchanged else files
    noted = unchanged.is_noted if unchanged else lambda _: False
    handed = batches(left, noted)
    if unchanged and sum(one.seconds for one in handed) > wanted.within * wanted.workers:
        handed = nearest_first(handed, unchanged.near(left))
    told = run(handed, options, workers=wanted.workers, ends=begun + wanted.within)
    if unchanged:
        for file, ran in told.ran.items():
            if unstated := unchanged.unstated(file, ran):
                told.fail(file, f"opens {', '.join(unstated)}: say so in FILES_READ, see tools/unchanged.py")
        unchanged.keep(told.seconds.keys() - told.unclean, told.unclean, told.ran, told.before)
    report(told, begun, options)
    if len(left) < len(files):
        print(f"{len(files) - len(left)} files are left out: they passed as they are, here or upstream")
    if told.late:
        print(
            f"NOT RUN within {wanted.within:.0f} s: {len(told.late)} files, the farthest from what changed; "
            "the same again goes on with them"
        )
    keep_seconds(told.seconds)
    return 1 if told.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
