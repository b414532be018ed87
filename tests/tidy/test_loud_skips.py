"""A skip warns and says what was not proven; where the program that it lacks is required, it fails."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest

from tests.loud_skips import REQUIRABLE, REQUIRE_VARIABLE, not_proven, required, skip_loudly, without_loudly
from tests.tidy.tree import ROOT, modules

THE_ONE = "tests/loud_skips.py"


def test_nobody_skips_but_loudly() -> None:
    quiet = [
        f"{module.path}:{call.lineno}"
        for module in modules("tests")
        if module.path != THE_ONE
        for call in module.nodes
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("skip", "importorskip")
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "pytest"
    ]
    assert quiet == []


@pytest.mark.parametrize(
    "skips", [lambda: skip_loudly("strace", "get it", name="strace"), lambda: not_proven("x", name="strace")]
)
def test_what_is_required_fails_and_what_is_not_skips_with_a_warning(
    skips: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRE_VARIABLE, "envoy, npm")
    with pytest.warns(UserWarning, match="not installed|x"), pytest.raises(pytest.skip.Exception):
        skips()
    monkeypatch.setenv(REQUIRE_VARIABLE, "envoy,strace")
    with pytest.raises(pytest.fail.Exception, match="`strace` must be here"):
        skips()


def test_one_of_several_programs_that_is_required_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_VARIABLE, raising=False)
    with pytest.warns(UserWarning, match="go-spiffe"):
        without_loudly("go-spiffe", "get it")
    monkeypatch.setenv(REQUIRE_VARIABLE, "go-spiffe")
    with pytest.raises(pytest.fail.Exception):
        without_loudly("go-spiffe", "get it")


def test_a_requirement_that_no_test_knows_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_VARIABLE, "softhsm2")
    with pytest.raises(pytest.UsageError, match="softhsm2"):
        required()


def test_ci_requires_what_tests_know_and_every_name_is_asked_for_by_a_test() -> None:
    (line,) = [
        line
        for line in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
        if f"{REQUIRE_VARIABLE}=" in line
    ]
    assert set(line.rpartition("=")[2].strip().split(",")) == REQUIRABLE
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    assert [
        name for name in REQUIRABLE if f'name="{name}"' not in sources and f'"{name}"' not in sources
    ] == []
