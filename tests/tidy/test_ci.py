"""What `.ci/run` says that it proves is what it runs."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.tidy.answers import answers
from tests.tidy.test_requirements import claims_of, claims_of_every_change
from tests.tidy.tree import ROOT

OTHERS_JUDGE = (
    "tests/browser/",
    "tests/interop/test_mcp_asking.py",
    "tests/interop/test_mcp_conformance.py",
    "tests/interop/test_schemathesis.py",
)


def commands_of(name: str) -> str:
    """What `./dev NAME` does."""
    text = (ROOT / "dev").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^  {name}\)\n(.*?)^    ;;$", text, re.M | re.S)
    return str(found)


@pytest.mark.requirement("CI-01")
@pytest.mark.parametrize("place", OTHERS_JUDGE)
def test_every_test_by_which_others_judge_us_is_run_for_every_change(place: str) -> None:
    tests, quick = 0, answers(claims_of_every_change, "tests")
    for path, claims in answers(claims_of, "tests").items():
        if path.startswith(place):
            every = [name for name, _ in claims]
            assert [name for name, _ in quick[path]] == every, f"{path}: some are slow"
            tests += len(every)
    assert tests, f"{place} has no tests"


@pytest.mark.requirement("CI-01", "CI-03")
def test_ci_runs_all_that_is_not_slow_and_every_night_the_rest() -> None:
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert {"DEV_PYTHON=$oldest part ./dev check --all", "part ./dev test"} <= set(lines)
    assert 'tools/run_tests.py tests -- -m "not slow"\n' in commands_of("test")
    prove = commands_of("prove")
    assert 'tools/run_tests.py "${@:-tests}" -- --hypothesis-profile=prove\n' in prove
    assert not re.search(r"-m |-k |--deselect|--ignore", prove)
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert re.search(r"^\| `\./dev prove` \| every night", told, re.M)


@pytest.mark.requirement("CI-05")
def test_coverage_holds_a_floor_or_is_not_measured() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)
    coverage = found["tool"].get("coverage", {}).get("report", {})
    is_there = any("cov" in one for one in found["dependency-groups"]["dev"])
    assert is_there == ("fail_under" in coverage)
