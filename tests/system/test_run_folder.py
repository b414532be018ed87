"""What a run of tests shares is started once for all of its processes, and is gone with the run, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 120
PLANTED = f"""
import os, shutil, subprocess
from pathlib import Path
import pytest
from tests.stand_ins.session_servers import environment_of, lent

KEPT = Path({{kept!r}})


class Planted:
    def __init__(self, folder):
        self.folder = folder

    def begin(self):
        process = subprocess.Popen(["sleep", "{SECONDS_MAX}"], env=environment_of(self.folder))
        with (KEPT / "begun").open("a") as file:
            file.write(f"{{{{process.pid}}}}\\n")

    def clean(self):
        shutil.rmtree(self.folder / "in-use", ignore_errors=True)
        with (KEPT / "cleaned").open("a") as file:
            file.write("x\\n")


def test_it():
    with lent("planted", Planted) as server:
        (server.folder / "in-use").mkdir()
        {{does}}
        (server.folder / "in-use").rmdir()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of the checkout for planted tests."""
    with tempfile.TemporaryDirectory(dir=ROOT / ".dev", prefix="planted-") as folder:
        yield Path(folder)


def begun(place: Path, files: int, *, workers: int, does: str = "pass") -> subprocess.Popen[bytes]:
    for number in range(files):
        (place / f"test_{number}.py").write_text(PLANTED.format(kept=str(place), does=does))
    command = [sys.executable, "tools/run_tests.py", "--workers", str(workers), str(place)]
    with (place / "said").open("wb") as said:
        return subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)


def still_there(place: Path) -> list[int]:
    """Servers that were begun and run."""
    return [pid for pid in map(int, (place / "begun").read_text().split()) if is_running(pid)]


def is_running(pid: int) -> bool:
    """Not one that ended and that nobody has waited for: that has nothing any more."""
    with suppress(OSError):
        return bool(Path(f"/proc/{pid}/environ").read_bytes())
    return False


@pytest.mark.requirement("FAST-01")
def test_files_of_several_processes_get_the_same_servers_one_at_a_time_and_clean(place: Path) -> None:
    assert begun(place, 6, workers=2).wait(SECONDS_MAX) == 0, (place / "said").read_text()
    servers = (place / "begun").read_text().split()
    assert 1 <= len(servers) <= 2
    assert len((place / "cleaned").read_text().split()) == 6 - len(servers)
    assert still_there(place) == []


@pytest.mark.requirement("FAST-02")
def test_a_process_of_tests_that_dies_leaves_its_server_to_the_next_and_none_to_the_machine(
    place: Path,
) -> None:
    run = begun(place, 3, workers=1, does="if 'test_0' in __file__: os._exit(7)")
    assert run.wait(SECONDS_MAX) == 1
    assert len((place / "begun").read_text().split()) == 1
    assert still_there(place) == []


@pytest.mark.requirement("FAST-02")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_leaves_no_server(place: Path, how: signal.Signals) -> None:
    told = place / "told"
    os.mkfifo(told)
    run = begun(
        place, 1, workers=1, does=f"Path({str(told)!r}).write_text('begun'); subprocess.run(['sleep', '60'])"
    )
    told.read_text()
    run.send_signal(how)
    assert run.wait(SECONDS_MAX) not in (0, 1)
    assert still_there(place) == []
