"""How hard property tests try: little before a push, more before a change is called done, most every night."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from check import test_step as quick_tests
from tests.probes.example_counts import examples

ROOT = Path(__file__).resolve().parents[2]
COUNTS = {"quick": 10, "same": 10, "default": 30, "prove": 1000}


@pytest.fixture
def profile() -> Iterator[str]:
    """The profile that this run has, kept whatever a test loads."""
    kept = settings.get_current_profile_name()
    yield kept
    settings.load_profile(kept)


@pytest.mark.requirement("FAST-10")
@pytest.mark.parametrize("name", COUNTS)
def test_a_property_tries_what_its_profile_says_and_its_own_count_only_lowers_that(
    name: str, profile: str
) -> None:
    settings.load_profile(name)
    assert settings().max_examples == COUNTS[name], f"this run has {profile}"
    assert examples(5_000) == COUNTS[name]
    assert examples(7) == 7


@pytest.mark.requirement("FAST-10")
def test_check_is_quick_test_has_the_default_and_prove_is_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, name in (([], "same"), (["--all"], "quick")):
        monkeypatch.setattr(sys, "argv", ["check.py", *given])
        assert f"--hypothesis-profile={name}" in quick_tests()[1]
    dev = (ROOT / "dev").read_text()
    assert re.findall(r"hypothesis-profile=(\w+)", dev) == ["prove"]
    assert "--hypothesis-profile=prove" in dev.partition("\n  prove)")[2].partition(";;")[0]
    conftest = (ROOT / "tests/conftest.py").read_text()
    assert re.findall(r"load_profile\((.*)\)", conftest) == ['"default"']


@pytest.mark.requirement("FAST-10")
def test_no_test_has_a_count_that_no_profile_lowers() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {count}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for count in re.findall(r"\bsettings\([^)]*max_examples=(\d+)", path.read_text())
    ]
    assert found == []
