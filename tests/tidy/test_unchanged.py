"""What `./dev check` leaves out: test files that passed, and can have no other result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

import imports
import unchanged
from batches import Batch, nearest_first
from tests.probes.planting import ROOT
from tests.tidy.small_checkout import LATE, PART, TESTS, path_of, write
from unchanged import Unchanged

TOOLS = "batches imports in_turn memory_disk parts run_folder run_tests saying symbols test_worker unchanged".split()
TOOLS += ["closed", "what_ran"]
PROBES = "warm_children warm_python warm_starts".split()
OPTIONS = ("-p", "no:cacheprovider", "-p", "answerable.early", "-k", "not unwanted")
"""What is read before any test file is, and what is left out of each."""
NOTES = hasattr(sys, "monitoring")
"""Whether this Python can tell which functions ran."""
ALWAYS = {"file", "reads_more", "ends"}
"""One that says nothing of what it reads, and those that fail."""
EVERY_BYTE = {"programs", "forks", "lines", "source", "draws"}
Left = Callable[..., set[str]]
PLACES = {"answerable": "src", "tests": ".", "tools": "."}
IMPORT = TESTS.keys() - {"reads", "reads_more", "ends", "file"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkout in small, whose tests have run, and what was told."""
    place = tmp_path_factory.mktemp("checkout")
    copied = [*(f"tools/{one}.py" for one in TOOLS), *(f"tests/probes/{one}.py" for one in PROBES)]
    for name in copied:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    write(place)
    return place, run(place)


def run(place: Path, *options: str) -> str:
    """What its tests tell."""
    words = ["--changed", "--workers", "1", *options, "tests", "--", *OPTIONS]
    command = [sys.executable, "tools/run_tests.py", *words]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(place / "src")}
    done = subprocess.run(command, cwd=place, env=alone, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def left(checkout: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Left:
    """What has to run again when this text is in a file in place of that."""
    place, _ = checkout
    monkeypatch.setattr(unchanged, "ROOT", place)
    for name in ("STATE", "PARTS"):
        monkeypatch.setattr(unchanged, name, place / getattr(unchanged, name).relative_to(ROOT))
    monkeypatch.setattr(imports, "ROOTS", {name: place / root for name, root in PLACES.items()})

    def changed(file: str, old: str, new: str, *options: str) -> set[str]:
        before = (place / file).read_text()
        assert old in before
        (place / file).write_text(before.replace(old, new, 1))
        try:
            found = Unchanged(options or OPTIONS).left([path_of(name) for name in TESTS])
        finally:
            (place / file).write_text(before)
        return {name for name in TESTS if path_of(name) in found} - ALWAYS

    return changed


pytestmark = pytest.mark.requirement("FAST-15")
PART_FILE = "src/answerable/part.py"
LOOK = {"looks", "has_told"}


def expected(names: Collection[str]) -> set[str]:
    return {*names, *EVERY_BYTE} if NOTES else {*IMPORT}


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("return other(given)", "return 2", []),
        ("# a remark", "# another", []),
        ("VALUE + given", "given + VALUE", ["calls", "thread"]),
        ("self.made()", "self.made() or 0", ["makes"]),
        ("def made(self): return 1", "def made(self): return 2", ["makes"]),
        ("def unused(self): return 1", "def unused(self): return 2", []),
        ("def slow(self): return 1", "def slow(self): return 2", []),
        ("def many(self): yield 1", "def many(self): yield 2", ["makes"]),
        ("return 4", "return 5", ["once", "once_and_again"]),
        ("import other\n", "import note as other\n", []),
        ("import functools", "import functools, types as kinds", []),
    ],
)
def test_a_changed_body_is_for_those_that_ran_it(left: Left, old: str, new: str, names: list[str]) -> None:
    assert left(PART_FILE, old, new) == expected(names)


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("def idle", "def added(): return 1\n\ndef idle", []),
        ("idle(given=1)", "idle(given=2)", []),
        ("def idle(given=1):", "def idle(given: int = 1):", []),
        (
            "def sized(self, by=1): return by",
            "def sized(self, by=2):\n        'Words.'\n        return by",
            [],
        ),
        ("ran(given=1)", "ran(given=1, more=2)", ["calls", "thread"]),
        ("def made(self)", "def made(self, by=1)", ["makes"]),
    ],
)
def test_a_changed_name_or_parameter_is_for_those_too_that_look_at_functions(
    left: Left, old: str, new: str, names: list[str]
) -> None:
    assert left(PART_FILE, old, new) == (expected({*names, *LOOK}) if NOTES else IMPORT)


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("async def slow(self): return 1", "def slow(self): return 1", ["makes"]),
        ("def many(self): yield 1", "def many(self): return 1", ["makes"]),
        ("size = 1", "size = 2", ["makes"]),
        ("    @property\n", "", ["makes"]),
        ("def sized", "def sizes(self): return 1\n    def sized", ["makes"]),
        ("VALUE = 1", "VALUE = 2", ["calls", "thread"]),
        ("VALUE = 1", "VALUE = 1\nNEW = 2", []),
        ("def idle", "class New: pass\n\ndef idle", []),
        ("def idle", "@functools.cache\ndef idle", []),
        ("def once(): ", "def once(given=1): ", ["once", "once_and_again"]),
        ("kind = 1", "kind = 2", ["asks"]),
        ('{"kind": Kind}', '{"kind": Base}', ["asks"]),
        ("help = 1", "help = 2", ["asks"]),
        ("command(name: Option)", "command(name: Option, more=1)", ["asks"]),
        ('INNER = "KEPT"', 'INNER = "LATE"', ["asks"]),
        ("import early\n", "import other as early\n", ["asks"]),
        ('"""Words."""', '"""Other words."""', []),
    ],
)
def test_a_constant_or_class_is_for_those_that_say_its_name_by_what_they_run(
    left: Left, old: str, new: str, names: list[str]
) -> None:
    assert left(PART_FILE, old, new) == expected({*names, *LOOK})


def test_a_name_that_is_handed_on_is_for_those_that_say_it(left: Left) -> None:
    found = left("src/answerable/late/__init__.py", "note, other", "note, note as other")
    assert found == ({"handed"} if NOTES else {"handed", "asks"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lambda: 3", "lambda: 4"),
        ("READ = at_reading()", "READ = at_reading() + 0"),
        ("def at_reading(): return 2", "def at_reading(): return 3"),
        ("def idle", "def len(): return 1\n\ndef idle"),
        ("def idle", "def other(): return 1\n\ndef idle"),
        ("def idle", "def __getattr__(name): return 1\n\ndef idle"),
        ("def idle", "idle = 1\ndef idle"),
        ("def idle", "TABLE['more'] = 1\n\ndef idle"),
        ("def idle", "@print\ndef idle"),
        ("VALUE = 1", "VALUE = print(1) or 1"),
    ],
)
def test_what_else_is_done_when_a_module_is_read_is_for_all_that_import_it(
    left: Left, old: str, new: str
) -> None:
    """But for those that import it only when somebody asks."""
    assert left(PART_FILE, old, new) == (IMPORT - {"handed"} if NOTES else IMPORT)


def test_what_ran_when_a_module_was_read_is_for_all_that_import_it(left: Left) -> None:
    assert left("src/answerable/early.py", "note(): return 1", "note(): return 2") == IMPORT
    assert left(
        "src/answerable/early.py", "other(given=0): return 1", "other(given=0): return 2"
    ) == expected([])


def test_other_things_that_a_test_depends_on(left: Left) -> None:
    assert left(PART_FILE, "", "") == set()
    assert left(PART_FILE, "", "", "--other") == TESTS.keys() - ALWAYS
    for file in ("src/answerable/words.txt", "requirements.lock", "tests/conftest.py", "tools/unchanged.py"):
        assert left(file, "", "\n") == TESTS.keys() - ALWAYS, file
    assert left("src/answerable/other.py", "", "VALUE = 2\n") == set()
    assert left("tests/calls/test_calls.py", "[2, 2]", "[2, 3]") == {"calls"}
    assert left("words/a.txt", "a", "b") == {"reads"}


def test_what_never_ran_here_is_left_out_where_upstream_has_all_that_it_reads(
    checkout: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream, clone = tmp_path / "upstream", tmp_path / "clone"
    shutil.copytree(checkout[0], upstream, ignore=shutil.ignore_patterns(".dev", "__pycache__"))
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "all"],
        ["clone", "-q", str(upstream), str(clone)],
    ):
        subprocess.run(["git", *words], cwd=upstream, check=True)
    monkeypatch.setattr(imports, "ROOTS", {name: clone / root for name, root in PLACES.items()})
    for name in ("STATE", "PARTS"):
        monkeypatch.setattr(unchanged, name, clone / "none" / name)

    def left(place: Path = clone) -> set[str]:
        monkeypatch.setattr(unchanged, "ROOT", place)
        found = Unchanged(OPTIONS).left([path_of(name) for name in TESTS])
        return {name for name in TESTS if path_of(name) in found}

    # Of those that end early or read too much nobody knows that before they run.
    assert left() == {"file"}
    (clone / PART_FILE).write_text(PART + "\nMORE = 1\n")
    assert left() == {"file", *IMPORT}
    (clone / PART_FILE).write_text(PART)
    (clone / "src/answerable/more.txt").write_text("new")
    assert left() == TESTS.keys()
    (clone / "src/answerable/more.txt").unlink()
    (clone / "more.txt").unlink()
    assert left() == TESTS.keys()
    subprocess.run(["git", "checkout", "-q", "more.txt"], cwd=clone, check=True)
    subprocess.run(["git", "checkout", "-q", "--detach"], cwd=clone, check=True)
    assert left() == TESTS.keys()


def test_who_ran_a_module_that_is_gone_runs_again(left: Left, checkout: tuple[Path, str]) -> None:
    gone = checkout[0] / "src/answerable/late/__init__.py"
    try:
        gone.unlink()
        assert left(PART_FILE, "", "") == {"asks", "handed"}
    finally:
        gone.write_text(LATE)


def test_who_opens_more_than_it_says_fails(checkout: tuple[Path, str]) -> None:
    place, told = checkout
    assert "FAILED tests/reads_more/test_reads_more.py\nopens more.txt, tests/: say so in FILES_READ" in told
    assert told.count("say so in FILES_READ") == 1
    assert path_of("reads_more") not in json.loads((place / ".dev/cache/unchanged.json").read_text())


def test_who_ends_its_process_fails_and_the_others_run(checkout: tuple[Path, str]) -> None:
    _, told = checkout
    assert "its process ended with 3 here" in told
    assert f"2 failed, {len(TESTS) - 1} passed" in told


@pytest.mark.requirement("FAST-46")
def test_what_would_end_too_late_is_counted_and_runs_the_next_time(
    checkout: tuple[Path, str], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    shutil.copytree(checkout[0], place)
    for name in ("ends", "reads_more"):
        (place / path_of(name)).unlink()
    seconds = place / ".dev/cache/test-seconds.json"
    seconds.write_text(json.dumps({path_of(name): 100.0 if name == "calls" else 0.1 for name in TESTS}))
    (place / PART_FILE).write_text(PART.replace("VALUE + given", "given + VALUE"))
    ran = len({*expected(("calls", "thread")), "file"} - {"calls"})
    told = run(place, "--within", "60")
    assert f"{ran} passed" in told
    assert "NOT RUN within 60 s: 1 files, the farthest from what changed; the same again goes on" in told
    again = run(place, "--within", "0")
    assert "NOT RUN within 0 s: 2 files" in again
    assert "no test yet" in again
    whole = run(place)
    assert "2 passed" in whole
    assert "NOT RUN" not in whole


@pytest.mark.requirement("FAST-46")
def test_without_time_for_all_the_nearest_to_a_change_come_first() -> None:
    files = ("tests/tidy/a.py", "tests/unit/b.py", "tests/unit/c.py", "tests/unit/d.py", "tests/unit/e.py")
    left = [Batch((file,), seconds=at) for at, file in enumerate(files)]
    near = {"tests/unit/b.py": 3, "tests/unit/c.py": 3, "tests/unit/e.py": 1}
    ordered = [one.files[0][-4] for one in nearest_first(left, near)]
    assert ordered == ["a", "e", "b", "c", "d"]
