"""The runner of the suite: it says what failed, broke off and was left out, and what need not run again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import imports
import unchanged
from answerable import __version__
from unchanged import Unchanged

ROOT = Path(__file__).resolve().parents[2]
GOOD = "def test_good(): pass\n"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of the checkout for planted tests."""
    with tempfile.TemporaryDirectory(dir=ROOT / ".dev", prefix="planted-") as folder:
        yield Path(folder)


def ran(place: Path, *options: str, **files: str) -> tuple[int, str]:
    for name, text in files.items():
        (place / f"test_{name}.py").write_text(text)
    command = [sys.executable, "tools/run_tests.py", "--workers", "2", str(place), "--", *options]
    # What these need of pytest is its own: a start takes a fifth of the time without the plugins of others.
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout


def test_what_passed_is_counted_once_whoever_ran_it(place: Path) -> None:
    status, told = ran(place, **{f"t{number}": GOOD for number in range(7)})
    assert status == 0
    assert "7 passed" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def test_bad(): assert 1 == 2\n", "assert 1 == 2"),
        ("import nothing_of_this_name\n", "nothing_of_this_name"),
        ("import os\n\ndef test_bad(): os._exit(7)\n", "ended with 7"),
        (
            "import pytest\n\n@pytest.fixture\ndef f():\n    yield\n    raise OSError('late')\n\n"
            "def test_bad(f): pass\n",
            "late",
        ),
    ],
    ids=["a claim", "a file that cannot be read", "a process that ends", "what comes after"],
)
def test_what_fails_is_told_with_its_reason_and_the_others_still_run(
    place: Path, text: str, said: str
) -> None:
    status, told = ran(place, a=text, b=GOOD, c=GOOD)
    assert status == 1
    assert said in told
    assert "test_a.py" in told.rpartition("FAILED")[2]
    assert "2 passed" in told or "3 passed" in told


@pytest.mark.requirement("CI-04")
def test_what_is_skipped_or_left_out_is_said_aloud(place: Path) -> None:
    skipped = "import pytest\n\ndef test_here(): pytest.skip('no such server: NOT PROVEN')\n"
    skipped += (
        "\ndef test_here_too():\n    try: pytest.skip('no such queue')\n"
        "    except BaseException as one: raise BaseExceptionGroup('errors of tasks', [one])\n"
    )
    status, told = ran(place, "-k", "good or here", a=skipped, b=GOOD + "\ndef test_other(): pass\n")
    assert status == 0
    assert "1x no such server: NOT PROVEN" in told
    assert "1 passed, 2 skipped, 1 left out" in told
    assert "1x no such queue" in told
    assert "1 tests were left out" in told


@pytest.mark.requirement("FAST-14")
def test_many_files_are_run_by_processes_that_read_nothing_themselves(place: Path) -> None:
    reading = """
import os, subprocess, sys
from tests.probes import warm_starts

warm_starts.install()

def test_forked():
    assert "answerable.main" in sys.modules
    forking = warm_starts._forking
    line = [sys.executable, "-m", "answerable.main", "--version"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "0.1.0\\n"
    assert warm_starts._forking is forking and len(forking) == 1, "what was forked off this process forks"
    open("PLACE/begun", "a").write(f"{os.getpid()} {forking[0]} ")
""".replace("PLACE", str(place)).replace("0.1.0", __version__)
    ends = "import os\n\ndef test_bad(): os._exit(7)\n"
    status, told = ran(place, ends=ends, **{f"t{number:02}": reading for number in range(20)})
    assert (status, "1 failed, 20 passed" in told) == (1, True), told
    assert "ended with 7" in told
    processes = {int(one) for one in (place / "begun").read_text().split()}
    assert not [one for one in processes if Path(f"/proc/{one}").exists()]


@pytest.mark.requirement("FAST-12")
def test_it_says_what_each_folder_took_and_all_together(place: Path) -> None:
    busy = """
from time import process_time

def test_busy():
    ends = process_time() + 1.1
    while process_time() < ends: pass
"""
    _, told = ran(place, a=busy, b=GOOD)
    costliest, _, _, header, folder, rest = told.rpartition("\n\n")[0].splitlines()[-6:]
    assert "test_a.py" in costliest
    assert header.split() == ["took", "files", "elapsed", "CPU"]
    name, files, elapsed, used = folder.split()
    assert (name, files) == (str(place.relative_to(ROOT)), "2")
    assert min(seconds(elapsed), seconds(used)) >= 1
    assert rest.startswith("starts and ends")
    whole = re.search(r"2 passed in (\d+:\d\d), (\d+:\d\d) of CPU", told)
    assert whole is not None
    assert seconds(whole[2]) >= seconds(used)


def seconds(clock: str) -> int:
    minutes, rest = clock.split(":")
    return int(minutes) * 60 + int(rest)


@pytest.mark.requirement("FAST-11")
def test_what_is_made_once_a_run_is_made_by_whoever_needs_it_first(place: Path) -> None:
    asking = """
        import time
        from tests.probes import demo_run

        def run_demo(home, *options, here, more):
            time.sleep(1)
            with open({counted!r}, "a") as counted:
                counted.write("".join(options) + "\\n")
            if sum(1 for _ in open({counted!r})) == 1:
                raise OSError("the first one fails")
            home.mkdir()
            return demo_run.Run(home=home, code=7, out="said")

        demo_run.run_demo = run_demo

        def test_read():
            try:
                run = demo_run.the_demo("--of-a-kind")
            except OSError:
                run = demo_run.the_demo("--of-a-kind")
            assert (run.code, run.out) == (7, "said")
            assert run.home.is_dir()
    """
    counted = place / "counted"
    text = textwrap.dedent(asking).format(counted=str(counted))
    status, told = ran(place, **{f"t{number}": text for number in range(4)})
    assert status == 0, told
    assert counted.read_text() == "--of-a-kind\n" * 2, "the one that failed, and one for all"
    status, told = ran(place, **{f"t{number}": text for number in range(2)})
    assert status == 0, told
    assert counted.read_text() == "--of-a-kind\n" * 3, "another run has its own"


@pytest.mark.requirement("FAST-11")
def test_nobody_runs_the_demo_as_it_is_to_its_end_but_for_all() -> None:
    calls = [
        (path.name, call)
        for path in (ROOT / "tests").rglob("test_*.py")
        if path != Path(__file__)
        for call in re.findall(r"\brun_demo\((.*?)\)$", path.read_text(), re.MULTILINE)
    ]
    assert [one for one in calls if "examples=examples" not in one[1]] == [("test_demo.py", "folder")]
    assert (
        "letters.txt" in (ROOT / "tests/system/test_demo.py").read_text().split("run_demo(folder)")[0][-300:]
    )


def test_a_file_runs_again_once_what_it_imports_has_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("src/answerable", "tests", "tools"):
        (tmp_path / name).mkdir(parents=True)
    for name in unchanged.SHARED:
        (tmp_path / name).write_text("")
    monkeypatch.setattr(unchanged, "ROOT", tmp_path)
    monkeypatch.setattr(unchanged, "STATE", tmp_path / "passed.json")
    roots = {"answerable": tmp_path / "src", "tests": tmp_path, "tools": tmp_path}
    monkeypatch.setattr(imports, "ROOTS", roots)
    written = {
        "src/answerable/__init__.py": "",
        "src/answerable/part.py": "from answerable import deep\n",
        "src/answerable/deep.py": "VALUE = 1\n",
        "src/answerable/other.py": "",
        "src/answerable/words.txt": "a",
        "tests/world.py": "import answerable.part\n",
        "tests/test_a.py": "from tests.world import answerable\n",
        "tests/test_b.py": "open(__file__)\n",
    }
    for name, text in written.items():
        (tmp_path / name).write_text(text)
    files = ["tests/test_a.py", "tests/test_b.py"]

    def left(*options: str) -> list[str]:
        return Unchanged(options).left(files)

    seen = Unchanged(())
    assert seen.left(files) == files
    seen.keep(files, [])
    assert left() == ["tests/test_b.py"], "who reads other files always runs"
    assert left("--other") == files
    for name in ("src/answerable/deep.py", "src/answerable/words.txt", "tests/world.py", "requirements.lock"):
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text(before + "\n")
        assert left() == files, name
        (tmp_path / name).write_text(before)
    (tmp_path / "src/answerable/other.py").write_text("VALUE = 2\n")
    assert left() == ["tests/test_b.py"]
    again = Unchanged(())
    again.left(files)
    again.keep([], ["tests/test_a.py"])
    assert left() == files, "what failed runs again"
