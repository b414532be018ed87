"""A skip warns and says what was not proven; where the program that it lacks is required, it fails."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

import pytest

import verifiers
from tests.probes.loud_skips import (
    REQUIRABLE,
    REQUIRE_VARIABLE,
    not_proven,
    required,
    skip_loudly,
    without_loudly,
)
from tests.tidy.answers import answers
from tests.tidy.tree import ROOT, Module

THE_ONE = "tests/probes/loud_skips.py"
HERE = "tests/tidy/test_loud_skips.py"


def quiet(module: Module) -> list[str]:
    """Where it skips without a word."""
    return [
        f"{module.path}:{call.lineno}"
        for call in module.nodes
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("skip", "importorskip")
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "pytest"
    ]


def test_nobody_skips_but_loudly() -> None:
    assert [path for path, places in answers(quiet, "tests").items() if places] == [THE_ONE]


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


@pytest.mark.requirement("CI-06")
def test_ci_requires_what_tests_know_and_every_name_is_asked_for_by_a_test() -> None:
    text = (ROOT / ".ci/run").read_text(encoding="utf-8")
    words = [word for said in re.findall(r"must\+?=\(([^)]*)\)", text) for word in said.split()]
    assert sorted(words) == sorted(REQUIRABLE)
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    asked = sources + (ROOT / "tools/verifiers.py").read_text(encoding="utf-8")
    names = [
        name for name in REQUIRABLE if f'name="{name}"' not in asked and f'_loudly("{name}"' not in asked
    ]
    assert names == ["axe-core"], "asked for by a constant"


def installed_by_ci() -> set[str]:
    """Debian packages."""
    text = (ROOT / ".ci/run").read_text(encoding="utf-8")
    (table,) = re.findall(r"<<'END'\n(.*?)^END$", text, re.M | re.S)
    found = {line.split()[1] for line in table.splitlines()} | set(
        re.findall(r"missing\+=\(([a-z].*?)\)", text)
    )
    return found | {package for program in verifiers.PROGRAMS for package in program.packages}


def loud(module: Module) -> list[tuple[str, bool, str | None]]:
    """Where it skips loudly, whether by name, and with which advice, if that is written there."""
    return [
        (
            f"{module.path}:{call.lineno}",
            any(given.arg == "name" for given in call.keywords),
            str(call.args[1].value) if isinstance(call.args[1], ast.Constant) else None,
        )
        for call in module.nodes
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "skip_loudly"
    ]


@pytest.mark.requirement("CI-06")
def test_every_skip_for_a_missing_program_has_its_name_and_advises_what_ci_installs() -> None:
    installed = installed_by_ci()
    skips = [one for path, there in answers(loud, "tests").items() if path != HERE for one in there]
    assert len(skips) > 20
    for place, has_name, advice in skips:
        assert has_name, place
        if advice is not None:
            named = " ".join(re.findall(r"apt-get install ([a-z0-9 .-]+)", advice)).split()
            assert named or "./dev" in advice, place
            assert set(named) <= installed, place
