"""What may befall a real writer: kills, failing system calls, a full disk, a second writer."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.ledger.entry import Entry
from answerable.errors import Unavailable
from answerable.testing.contracts.ledger import log_key, owed_entry, refusal_entry
from answerable.verify.ledger_history import verify_ledger
from tests.probes.loud_skips import not_proven, skip_loudly
from tests.probes.waiting import until
from tests.system.ledger_writer import opened
from tests.worlds.ledger_files import is_taken

ROOT = Path(__file__).parents[2]
WRITER = ROOT / "tests/system/ledger_writer.py"
STRACE = shutil.which("strace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a writer said before it ended. refusals: code and effect."""

    acknowledged: dict[int, str]
    refusals: list[tuple[str, str]]
    lines: list[str]


def run_writer(*arguments: str, under: tuple[str, ...] = ()) -> Said:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [*under, sys.executable, str(WRITER), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    lines = run.stdout.splitlines()
    assert lines or run.returncode == -signal.SIGKILL, run.stderr
    acknowledged = {int(words[1]): words[2] for line in lines if (words := line.split())[0] == "ack"}
    refusals = [(words[1], words[2]) for line in lines if (words := line.split())[0] == "refused"]
    return Said(acknowledged=acknowledged, refusals=refusals, lines=lines)


def assert_kept(directory: Path, acknowledged: dict[int, str]) -> None:
    """The copy verifies, the log reopens, and every acknowledged entry is at its place."""
    report = verify_ledger(directory, key=log_key()[0])
    # A log that was killed while it was born has nothing in it, and no promise was made.
    unborn = not acknowledged and {one.rule for one in report.findings} <= {"log.empty", "key.file"}
    assert report.errors == 0 or unborn, report.as_lines()

    async def run() -> dict[int, str]:
        async with opened(directory, "inline") as ledger:
            await ledger.append(refusal_entry(1))
            return {one.index: one.leaf_hash.hex() for one in ledger.replay()}

    stored = asyncio.run(run())
    assert acknowledged.items() <= stored.items()
    assert verify_ledger(directory, key=log_key()[0]).errors == 0


@pytest.mark.requirement("LEDGER-03")
@pytest.mark.parametrize("commit", ["inline", "thread"])
def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(tmp_path: Path, commit: str) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    said = run_writer(str(tmp_path / "log"), "--kills", "12", "--seed", str(seed), "--commit", commit)
    assert said.lines.count("killed") == 12
    assert len(said.acknowledged) > 100, f"seed {seed}"
    assert_kept(tmp_path / "log", said.acknowledged)


@pytest.fixture
def strace() -> str:
    """The tracer, or a loud skip where it is absent or not allowed to trace."""
    if STRACE is None:
        skip_loudly("strace", "apt-get install strace", name="strace")
    trial = subprocess.run([STRACE, "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    if trial.returncode != 0:
        not_proven("strace may not trace here: failing system calls are NOT PROVEN", name="tracing")
    return STRACE


def injected(strace: str, trace: Path, call: str, fault: str, when: str) -> tuple[str, ...]:
    """A command line under which the calls of this name and number fail."""
    rule = f"inject={call}:{fault}:when={when}"
    return (strace, "-f", "-y", "-qq", "-o", str(trace), "-e", f"trace={call}", "-e", rule)


def calls_after_fault(trace: Path) -> int:
    """How many calls of the traced kind the process made after the one that was made to fail. One to the lock only asks
    whether the disk takes anything."""
    found = trace.read_text().splitlines()
    lines = [line for line in found if re.search(r"\w+\(", line) and "/lock>" not in line]
    first = next(number for number, line in enumerate(lines) if "(INJECTED)" in line)
    return len(lines) - first - 1


@pytest.mark.requirement("LEDGER-04")
@pytest.mark.parametrize("commit", ["inline", "thread"])
@pytest.mark.parametrize(
    ("call", "fault"),
    [("fdatasync", "error=EIO"), ("pwrite64", "error=EIO"), ("pwrite64", "error=ENOSPC")],
)
def test_the_first_failed_write_or_sync_is_the_last(
    tmp_path: Path, strace: str, call: str, fault: str, commit: str
) -> None:
    # Calls are counted by thread, and opening makes some; these come when entries are written, before a checkpoint.
    trace = tmp_path / "trace"
    number = 9 if call == "fdatasync" else 16 if commit == "inline" else 12
    only_one = injected(strace, trace, call, fault, str(number))
    said = run_writer(
        str(tmp_path / "log"), "--commit", commit, "--seal-seconds", "60", "--entries", "60", under=only_one
    )
    assert said.acknowledged, said.lines
    effects = [effect for code, effect in said.refusals if code == "ledger.poisoned"]
    assert len(effects) == len(said.refusals) == 60 - len(said.acknowledged)
    assert effects.count("unknown") == 4, "the batch that failed"
    assert effects.count("none") == len(effects) - 4 > 0, "all that came later"
    # The call would have succeeded again, as syncs do after a failure; it was not tried.
    assert calls_after_fault(trace) == 0
    assert_kept(tmp_path / "log", said.acknowledged)


@pytest.mark.requirement("LEDGER-03")
@pytest.mark.parametrize("when", [3, 9, 20])
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_a_writer_killed_in_a_write_or_sync_loses_nothing_it_acknowledged(
    tmp_path: Path, strace: str, call: str, when: int
) -> None:
    under = injected(strace, tmp_path / "trace", call, "signal=KILL", str(when))
    said = run_writer(str(tmp_path / "log"), "--entries", "200", "--callers", "2", under=under)
    assert "closed" not in said.lines
    assert_kept(tmp_path / "log", said.acknowledged)


@pytest.mark.requirement("LEDGER-04")
@pytest.mark.slow
@pytest.mark.parametrize("fault", ["error=EIO", "error=ENOSPC", "signal=KILL"])
@pytest.mark.parametrize(
    "call",
    ["pwrite64", "fdatasync", "fsync", "rename", "ftruncate", "flock", "openat", "mkdir", "unlink", "rmdir"],
)
def test_any_single_fault_of_any_call_loses_nothing(
    tmp_path: Path, strace: str, call: str, fault: str
) -> None:
    for when in (1, 2, 3, 5, 8, 13, 21, 34):
        log = tmp_path / f"log-{when}"
        # An interpreter opens hundreds of files before it runs a line of ours.
        number = when + 600 if call == "openat" else when
        under = injected(strace, tmp_path / "trace", call, fault, str(number))
        try:
            said = run_writer(str(log), "--entries", "150", "--callers", "3", under=under)
        except AssertionError:
            # The interpreter did not even come to our code, so nothing was promised.
            continue
        assert_kept(log, said.acknowledged)


async def taken_until_refused(ledger: TlogFilesLedger, entry: Entry) -> int:
    """Append copies until the log says that it is full; returns how many it took."""
    count = 0
    while True:
        try:
            await ledger.append(entry)
        except Unavailable as refused:
            if refused.code != "ledger.full":
                raise
            return count
        count += 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, or a loud skip where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        not_proven("no file system can be mounted here: a really full disk is NOT PROVEN", name="mounts")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.requirement("LEDGER-05")
def test_a_really_full_disk_takes_what_is_owed_and_is_noticed_when_it_has_room_again(
    small_disk: Path,
) -> None:
    async def run() -> None:
        ballast = small_disk / "ballast"
        ledger = opened(small_disk / "log", "inline")
        await asyncio.sleep(0.05)
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        assert await taken_until_refused(ledger, refusal_entry(1, b"x" * 900)) > 50
        for _ in range(20):
            await ledger.append(owed_entry(1))
        with pytest.raises(Unavailable):
            await ledger.append(refusal_entry(1, b"x" * 900))
        ballast.unlink()
        await until(lambda: is_taken(ledger, refusal_entry(1, b"x" * 900)))
        for _ in range(99):
            await ledger.append(refusal_entry(1, b"x" * 900))
        await ledger.close()

    asyncio.run(run())
    report = verify_ledger(small_disk / "log", key=log_key()[0])
    assert (report.errors, report.signed) == (0, report.size)


@pytest.mark.requirement("LEDGER-06")
def test_a_second_process_cannot_open_the_log_and_is_told_who_has_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log", "inline"):
            said = run_writer(str(tmp_path / "log"))
            assert said.lines == ["not opened ledger.locked"]
            with pytest.raises(Unavailable) as refused:
                opened(tmp_path / "log", "inline")
            assert str(os.getpid()) in refused.value.message

    asyncio.run(run())
