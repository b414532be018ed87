"""The tool that changes the code a little and sees whether a test notices, on a checkout that was planted for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mutate

ROOT = Path(__file__).parents[2]
CODE = "src/answerable/core/sums.py"
PLANTED = {
    CODE: """
def doubled(number):
    return number + number


def is_large(number):
    return number > 9
""",
    "src/answerable/flows/told.py": """
def told():
    return "told"
""",
    "tests/conftest.py": """
from hypothesis import settings

settings.register_profile("quick", max_examples=5)
""",
    "tests/unit/test_sums.py": """
from answerable.core import sums


def test_doubled():
    assert sums.doubled(3) == 6


def test_large_numbers():
    assert sums.is_large(10)
    assert not sums.is_large(8)
""",
    "tests/unit/test_that_fails_anyway.py": """
from answerable.core.sums import doubled, is_large


def test_doubled_is_large():
    assert is_large(doubled(1))
""",
    "tests/system/test_told.py": """
import subprocess
import sys

MODULE = "answerable.flows.told"
PROGRAM = "import importlib, sys; print(importlib.import_module(sys.argv[1]).told())"


def test_a_program_with_no_variables_tells():
    told = subprocess.run([sys.executable, "-I", "-c", PROGRAM, MODULE], env={}, check=True, capture_output=True)
    assert told.stdout == b"told\\n"
""",
}
ARGUED = "core/sums.py: is_large: number > 9 -> number >= 9"


@dataclass(frozen=True)
class Checkout:
    """One that was planted."""

    root: Path

    def mutate(self, *options: str) -> tuple[int, dict[str, Any], str]:
        """Status, what was told, and what was complained of."""
        run = subprocess.run(
            [sys.executable, "tools/mutate.py", "--sample", "0", "--seconds", "1000", "--json", *options],
            cwd=self.root,
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.stdout, run.stderr
        return run.returncode, json.loads(run.stdout), run.stderr

    def argue(self, *names: str) -> None:
        """That these change nothing."""
        told = "".join(f'[[equivalent]]\nmutant = "{name}"\nreason = "planted"\n' for name in names)
        (self.root / "tests/mutants.toml").write_text(told)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    root = tmp_path_factory.mktemp("checkout")
    for name, text in PLANTED.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.lstrip())
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    yield Checkout(root)
    shutil.rmtree(root)


@pytest.mark.requirement("SMALL-10")
@pytest.mark.requirement("SMALL-11")
@pytest.mark.requirement("SMALL-12")
def test_what_no_test_notices_is_named_and_the_run_fails(checkout: Checkout) -> None:
    before = (checkout.root / CODE).read_text()
    status, told, complained = checkout.mutate("--room", "core")

    # Nobody asks about 9 itself.
    assert told["survivors"] == ["core/sums.py: is_large: 9 -> 8", ARGUED], told["noticed"].get(ARGUED)
    assert status == 1
    assert "core/sums.py: doubled: number + number -> number - number" in told["noticed"]
    assert set(told["noticed"].values()) == {
        "tests/unit/test_sums.py::test_doubled",
        "tests/unit/test_sums.py::test_large_numbers",
    }, "a test that fails anyway proves nothing"
    assert "tests/unit/test_that_fails_anyway.py" in complained
    assert told["mutants"] == len(told["survivors"]) + len(told["noticed"])
    assert (checkout.root / CODE).read_text() == before


@pytest.mark.requirement("SMALL-11")
def test_what_is_argued_to_change_nothing_is_left_out_and_must_be_there(checkout: Checkout) -> None:
    checkout.argue(ARGUED, "core/sums.py: is_large: 9 -> 8")
    status, told, _ = checkout.mutate("--room", "core")
    assert (status, told["survivors"], told["argued"]) == (0, [], 2)

    checkout.argue(ARGUED, "core/sums.py: is_large: 9 -> 8", "core/sums.py: gone: 1 -> 2")
    status, told, _ = checkout.mutate("--mutant", ARGUED)
    assert (status, told["stale"]) == (1, ["core/sums.py: gone: 1 -> 2"])
    checkout.argue()


@pytest.mark.requirement("SMALL-13")
def test_a_program_that_a_test_starts_runs_the_changed_code(checkout: Checkout) -> None:
    status, told, _ = checkout.mutate("--room", "flows")
    noticed = {
        "flows/told.py: told: 'told' -> 'told?'",
        "flows/told.py: told: return 'told' -> return None",
    }
    assert status == 0
    assert told["noticed"] == dict.fromkeys(
        noticed, "tests/system/test_told.py::test_a_program_with_no_variables_tells"
    )


@pytest.mark.requirement("SMALL-10")
def test_a_seed_draws_the_same_changes_again_from_all_five_rooms() -> None:
    some = mutate.modules(None)[::5]
    drawn = [mutate.drawn(some, 60, seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert len(set(drawn[0])) == 60
    assert {job.room for job in drawn[0]} == {"core", "flows", "wiring", "apps", "verify"}
