"""The runner of the suite: it says what failed, broke off and was left out."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.probes.planting import ROOT, planted, ran

GOOD = "def test_good(): pass\n"


@pytest.fixture
def place() -> Iterator[Path]:
    with planted() as folder:
        yield folder


BAD = {
    "a_claim": ("def test_bad(): assert 1 == 2\n", "assert 1 == 2"),
    "unreadable": ("import nothing_of_this_name\n", "nothing_of_this_name"),
    "ends": ("import os\n\ndef test_bad(): os._exit(7)\n", "ended with 7"),
    "late": (
        "import pytest\n\n@pytest.fixture\ndef f():\n    yield\n    raise OSError('late')\n\n"
        "def test_bad(f): pass\n",
        "late",
    ),
}
"""A claim that does not hold, a file that cannot be read, a process that ends, and what comes after a test."""


@pytest.mark.requirement("FAST-50")
def test_what_passed_is_counted_once_whoever_ran_it(place: Path) -> None:
    status, told = ran(place, **{f"t{number}": GOOD for number in range(7)})
    assert status == 0
    assert "7 passed" in told


@pytest.mark.requirement("FAST-50")
def test_what_fails_is_told_with_its_reason_and_the_others_still_run(place: Path) -> None:
    bad = {name: text for name, (text, _) in BAD.items()}
    status, told = ran(place, **bad, **{f"t{number}": GOOD for number in range(4)})
    assert status == 1
    for name, (_, said) in BAD.items():
        of_it = rf"^FAILED \S*/test_{name}\.py.*?(?=^FAILED |\ncostliest)"
        shown, _at_the_end = re.findall(of_it, told, re.MULTILINE | re.DOTALL)
        assert said in shown
    assert "4 failed, 5 passed" in told, "four, and the test of which something came after"


@pytest.mark.requirement("FAST-50")
def test_processes_that_end_before_their_first_file_are_not_replaced_for_ever(place: Path) -> None:
    status, told = ran(place, "--no-such-option", **{f"t{number}": GOOD for number in range(9)})
    assert status == 1
    assert "unrecognized arguments: --no-such-option" in told
    assert told.count("its process ended with 4 here") == 3, "two, and one in the place of the first"
    assert told.count("no process was left to run it") == 9


@pytest.mark.requirement("FAST-50")
def test_a_file_that_ends_its_process_while_it_is_read_is_named_once(place: Path) -> None:
    status, told = ran(
        place, ends="import os\n\nos._exit(7)\n", **{f"t{number}": GOOD for number in range(9)}
    )
    assert status == 1
    assert told.count("its process ended with 7 here") == 1
    assert re.search(
        r"^FAILED \S*/test_ends\.py\n.*its process ended with 7 here", told, re.MULTILINE | re.DOTALL
    )
    assert "9 passed" in told


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
