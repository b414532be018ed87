"""A ledger's writer under strace, and what is left of its log. Must be used in a process without threads, as it forks.

The writer is a fork of this process that waits until strace has attached, so that strace sees the script and nothing
else: the first call it counts is the log's own. It tells its promises through a pipe, each in one write, so that what a
killed writer had said is known.

strace cannot make a write end short: it can only lie about one. The kernel does so at a limit of file sizes (`LIMIT`),
and fails the call for the rest. A short write that is followed by a good one is made by the writer itself (`SHORT`),
which hands the kernel a part of the bytes in one of its calls: what the caller is told of is really written, no more.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

from answerable.adapters.tlog_files.settings import Commit
from answerable.core.ledger.entry import Receipt
from answerable.errors import AnswerableError
from tests.worlds.ledger_promises import PromiseBroken, require_kept
from tests.worlds.ledger_script import SCRIPTS, SEGMENT_BYTES, Promised, Teller, beginning, laid_out

STRACE = shutil.which("strace")
CALLS = (
    "openat close fstat newfstatat read pread64 preadv preadv2 lseek getdents64 statfs flock fadvise64 "
    "pwrite64 fsync fdatasync ftruncate rename unlink mkdir rmdir"
).split()
"""Every call by which a writer of ours reaches a file."""
CHANGING = frozenset("openat pwrite64 fsync fdatasync ftruncate rename unlink mkdir rmdir".split())
ERRORS = ("error=EIO", "error=EINTR", "signal=KILL", "error=ENOSPC")
"""The last for calls that change something: no other is ever told that there is no room."""
SHORT = "short"
LIMIT = "limit"
LIMITS = 60
"""So many limits of file sizes, of a few bytes up to the largest file."""
ENDING_SECONDS_MAX = 30
_CALL = re.compile(r"^(\d+) +(\w+)\(")


class Case(NamedTuple):
    """The `when`-th call of this name, in each thread, meets this fault."""

    script: str
    commit: Commit
    call: str
    fault: str
    when: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How a script ended: `closed`, `killed`, `hung`, or what was raised. promised: what it had told by then."""

    promised: Promised
    ended: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """fired: whether the fault befell anything. broken: the promise that did not hold, empty if all did."""

    case: Case
    fired: bool
    ended: str
    broken: str


class _PipeTeller(Teller):
    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def tell(self, *words: str) -> None:
        os.write(self._fd, f"{' '.join(words)}\n".encode())

    def acknowledged(self, receipt: Receipt) -> None:
        assert receipt.head is not None
        head = b64encode(receipt.head.signed()).decode()
        self.tell("ack", str(receipt.index), receipt.leaf_hash.hex(), head)

    def published(self, note: str) -> None:
        if note:
            self.tell("note", b64encode(note.encode()).decode())

    def published_cosigned(self, size: int) -> None:
        self.tell("cosigned", str(size))


def heard(lines: list[str]) -> Promised:
    """What whole lines of the pipe promise."""
    promised = Promised()
    for word, *rest in (line.split() for line in lines):
        if word == "ack":
            promised.acknowledged[int(rest[0])] = bytes.fromhex(rest[1])
        if word in ("ack", "note"):
            note = b64decode(rest[-1])
            if note not in promised.notes:
                promised.notes.append(note)
        elif word == "cosigned":
            promised.cosigned = int(rest[0])
    return promised


def played(
    script: str,
    commit: Commit,
    directory: Path,
    strace: list[str],
    *,
    prepare: Callable[[], None] | None = None,
) -> Played:
    """Play a script in a fork, under strace where it is given arguments. prepare: called in the fork before."""
    gate_reading, gate = os.pipe()
    hearing, telling = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(gate)
        os.close(hearing)
        _write(script, commit, directory, gate_reading, _PipeTeller(telling), prepare)
    os.close(gate_reading)
    os.close(telling)
    tracer = _attached(child, strace) if strace else None
    os.write(gate, b"go")
    said, is_hung = _said(hearing, child)
    _, status = os.waitpid(child, 0)
    for fd in (gate, hearing):
        os.close(fd)
    if tracer is not None:
        tracer.wait(timeout=ENDING_SECONDS_MAX)
        assert tracer.stderr is not None
        tracer.stderr.close()
    lines = said.decode().split("\n")[:-1]
    killed = "hung" if is_hung else "killed"
    ended = lines.pop().removeprefix("ended ") if lines and lines[-1].startswith("ended ") else killed
    assert is_hung or ended != "killed" or os.WIFSIGNALED(status), "it left without a word"
    return Played(promised=heard(lines), ended=ended)


def _write(
    script: str,
    commit: Commit,
    directory: Path,
    gate: int,
    teller: _PipeTeller,
    prepare: Callable[[], None] | None,
) -> NoReturn:
    """In the fork: play it once strace is there, and never return. The loop's own files are no part of the play."""
    loop = asyncio.new_event_loop()
    try:
        # Not a read: reads are counted.
        select.select([gate], [], [])
        if prepare is not None:
            prepare()
        loop.run_until_complete(SCRIPTS[script](directory, commit, teller))
        teller.tell("ended", "closed")
    except AnswerableError as error:
        teller.tell("ended", "refused", error.code)
    except BaseException as error:
        teller.tell("ended", "escaped", type(error).__name__, str(error).replace("\n", " "))
    finally:
        os._exit(0)


def _limit(file_bytes: int) -> None:
    """No file of this process may reach past so many bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))


def _shorten(number: int) -> None:
    """Let one write of this process write half of what it was given, or one byte."""
    real, count = os.pwrite, 0

    def pwrite(fd: int, content: bytes | memoryview, offset: int, /) -> int:
        nonlocal count
        count += 1
        size = memoryview(content).nbytes
        if count == number and size > 1:
            content = memoryview(content)[: size // 2 if number % 2 else 1]
        return real(fd, content, offset)

    setattr(os, "pwrite", pwrite)  # noqa: B010 the types of `os` allow no other


def _attached(child: int, arguments: list[str]) -> subprocess.Popen[bytes]:
    assert STRACE is not None
    command = [STRACE, "-f", *arguments, "-p", str(child)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    line = tracer.stderr.readline()
    assert b"attached" in line, line
    return tracer


def _said(hearing: int, child: int) -> tuple[bytes, bool]:
    said, until, is_hung = b"", time.monotonic() + ENDING_SECONDS_MAX, False
    while True:
        if not is_hung and not select.select([hearing], [], [], max(0.0, until - time.monotonic()))[0]:
            is_hung = True
            os.kill(child, signal.SIGKILL)
        more = os.read(hearing, 65_536)
        if not more:
            return said, is_hung
        said += more


def survey(script: str, commit: Commit, scratch: Path) -> Counter[str]:
    """How often each call is made by the thread that makes it most often; of writes, all together as `SHORT`."""
    directory, trace = scratch / "survey", scratch / "survey.trace"
    laid_out(beginning(script, scratch), directory)
    done = played(script, commit, directory, ["-o", str(trace), "-e", f"trace={','.join(CALLS)}"])
    assert done.ended == "closed", done.ended
    counts: Counter[tuple[str, str]] = Counter(
        (match[1], match[2]) for line in trace.read_text().splitlines() if (match := _CALL.match(line))
    )
    found: Counter[str] = Counter()
    for (_, call), count in counts.items():
        found[call] = max(found[call], count)
    found[SHORT] = sum(count for (_, call), count in counts.items() if call == "pwrite64")
    shutil.rmtree(directory)
    return found


def cases(script: str, commit: Commit, scratch: Path) -> Iterator[Case]:
    """Each call in turn with each fault; in thread mode only the calls that change something."""
    counts = survey(script, commit, scratch)
    for call in CALLS:
        if commit == "inline" or call in CHANGING:
            for when in range(1, counts[call] + 1):
                for fault in ERRORS if call in CHANGING else ERRORS[:-1]:
                    yield Case(script, commit, call, fault, when)
    for when in range(1, counts[SHORT] + 1):
        yield Case(script, commit, "pwrite64", SHORT, when)
    largest = max(SEGMENT_BYTES, *map(len, beginning(script, scratch).values()), 0)
    for number in range(LIMITS):
        yield Case(script, commit, "pwrite64", LIMIT, 1 + number * largest // LIMITS + number % 7)


def tried(case: Case, scratch: Path) -> Outcome:
    """Play one case and look at what it left, in this process, which never had the log open."""
    directory, trace = scratch / "log", scratch / "trace"
    shutil.rmtree(directory, ignore_errors=True)
    laid_out(beginning(case.script, scratch), directory)
    expected: tuple[str, ...] = ("closed", "refused")
    if case.fault in (SHORT, LIMIT):
        prepare = partial(_shorten if case.fault == SHORT else _limit, case.when)
        done, fired = played(case.script, case.commit, directory, [], prepare=prepare), True
        expected = ("closed",) if case.fault == SHORT else expected
    else:
        rule = f"inject={case.call}:{case.fault}:when={case.when}"
        under = ["-o", str(trace), "-e", f"trace={case.call}", "-e", rule]
        done = played(case.script, case.commit, directory, under)
        fired = done.ended == "killed" or "(INJECTED)" in trace.read_text()
        expected = ("killed",) if case.fault == "signal=KILL" and fired else expected
    broken = ""
    if done.ended.split()[0] not in expected:
        broken = f"the writer ended so: {done.ended}"
    try:
        require_kept(directory, done.promised)
    except PromiseBroken as error:
        broken = f"{broken} {error}".strip()
    return Outcome(case=case, fired=fired, ended=done.ended, broken=broken)


def warmed_up(scratch: Path) -> None:
    """Load every module that a script needs, so that forks load none."""
    for script, play in SCRIPTS.items():
        for commit in ("inline", "thread"):
            directory = scratch / f"warm-{script}-{commit}"
            laid_out(beginning(script, scratch), directory)
            teller = Teller()
            asyncio.run(play(directory, "thread" if commit == "thread" else "inline", teller))
            require_kept(directory, teller.promised)
            shutil.rmtree(directory)


def sampled(every: list[Case], count: int, seed: int) -> list[Case]:
    """So many of them, or all for 0."""
    return random.Random(seed).sample(every, count) if 0 < count < len(every) else every
