"""Requirements and tests know each other: every id has a test, every test that is no unit test has an id."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.answers import answers, found
from tests.tidy.tree import ROOT, FunctionNode, Module, parsed

FOLDER = ROOT / "tests/requirements"
WITHOUT_IDS = ("tests/unit/", "tests/tidy/")


def requirements(folder: Path = FOLDER) -> list[dict[str, str]]:
    return [
        requirement
        for path in sorted(folder.glob("*.toml"))
        for requirement in tomllib.loads(path.read_text(encoding="utf-8")).get("requirement", [])
    ]


def pending(folder: Path = FOLDER) -> list[str]:
    """Ids that no test proves yet, from pending.txt: one a line, `#` starts a remark."""
    path = folder / "pending.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [entry for line in lines if (entry := line.partition("#")[0].strip())]


def marked(node: ast.AST) -> set[str]:
    """Ids in any `pytest.mark.requirement("ID", ...)` at or below a node."""
    return {
        argument.value
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "requirement"
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def marks_of_each(module: Module) -> Iterator[tuple[str, list[ast.expr]]]:
    """Name and marks of every test in a module, marks of its class and of `pytestmark` included."""
    shared = [
        node.value
        for node in module.tree.body
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "pytestmark" for t in node.targets)
    ]
    for node in module.tree.body:
        if isinstance(node, FunctionNode) and node.name.startswith("test"):
            yield node.name, shared + node.decorator_list
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            marks = shared + node.decorator_list
            if node.bases:
                # A contract suite run on one adapter: its tests are inherited.
                yield node.name, marks
            for part in node.body:
                if isinstance(part, FunctionNode) and part.name.startswith("test"):
                    yield f"{node.name}.{part.name}", marks + part.decorator_list


def claims_of(module: Module) -> Iterator[tuple[str, list[str]]]:
    """Name and ids of every test in a module."""
    for name, marks in marks_of_each(module):
        yield name, sorted(set().union(*map(marked, marks)))


def is_slow(mark: ast.AST) -> bool:
    """Whether this is `pytest.mark.slow`, which leaves a test to `./dev prove`; or a list with it."""
    if isinstance(mark, ast.List | ast.Tuple):
        return any(map(is_slow, mark.elts))
    return isinstance(mark, ast.Attribute) and mark.attr == "slow"


def claims_of_every_change(module: Module) -> Iterator[tuple[str, list[str]]]:
    """Name and ids of every test in a module that is not slow, without those of its slow cases alone."""
    for name, marks in marks_of_each(module):
        if any(map(is_slow, marks)):
            continue
        ids: set[str] = set().union(*map(marked, marks))
        for case in (node for mark in marks for node in ast.walk(mark) if isinstance(node, ast.Call)):
            if any(one.arg == "marks" and is_slow(one.value) for one in case.keywords):
                ids -= marked(case)
        yield name, sorted(ids)


def proved() -> set[str]:
    return {one for _, ids in found(claims_of, "tests") for one in ids}


def test_every_requirement_says_what_and_whence():
    every = requirements()
    ids = [requirement["id"] for requirement in every]
    assert len(ids) == len(set(ids)), sorted(name for name in set(ids) if ids.count(name) > 1)
    for requirement in every:
        assert set(requirement) == {"id", "sentence", "source"}, requirement
        assert all(requirement.values()), requirement


def test_every_requirement_has_a_test_or_is_pending():
    missing = {requirement["id"] for requirement in requirements()} - proved() - set(pending())
    assert not missing, f"no test carries {sorted(missing)}"


@pytest.mark.requirement("CI-03")
def test_every_requirement_has_a_test_that_every_change_runs():
    quick = {one for _, ids in found(claims_of_every_change, "tests") for one in ids}
    missing = proved() - quick
    assert not missing, f"all tests of {sorted(missing)} are slow: `.ci/run` proves nothing of it"


def test_pending_requirements_exist_and_have_no_test_yet():
    ids = {requirement["id"] for requirement in requirements()}
    assert not set(pending()) - ids, "pending.txt names unknown ids"
    assert not set(pending()) & proved(), "these have a test now: take them off pending.txt"


def test_every_test_that_is_no_unit_test_carries_a_known_id():
    ids = {requirement["id"] for requirement in requirements()}
    faults = []
    for path, claims in answers(claims_of, "tests").items():
        if path.startswith(WITHOUT_IDS):
            continue
        for name, carried in claims:
            if not carried:
                faults.append(f"{path}: {name} carries no requirement")
            faults += [f"{path}: {name} carries unknown {one}" for one in carried if one not in ids]
    assert not faults, "\n".join(["", *faults])


def test_the_scan_finds_ids_of_functions_classes_modules_and_parameters():
    text = """
pytestmark = [pytest.mark.slow, pytest.mark.requirement("M-1")]

@pytest.mark.requirement("F-1", "F-2")
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.requirement("P-1"))])
async def test_a(x): ...

@pytest.mark.requirement("C-1")
class TestB:
    def test_c(self): ...
    def no_test(self): ...
"""
    assert dict(claims_of(parsed("tests/system/test_x.py", text))) == {
        "test_a": ["F-1", "F-2", "M-1", "P-1"],
        "TestB.test_c": ["C-1", "M-1"],
    }


def test_the_scan_leaves_out_what_is_slow():
    text = """
@pytest.mark.slow
@pytest.mark.requirement("F-1")
def test_a(): ...

@pytest.mark.requirement("F-2")
@pytest.mark.parametrize("x", [1, pytest.param(2, marks=[pytest.mark.slow, pytest.mark.requirement("P-1")])])
def test_b(x): ...
"""
    assert dict(claims_of_every_change(parsed("tests/system/test_x.py", text))) == {"test_b": ["F-2"]}
    of_all = parsed("tests/system/test_x.py", f"pytestmark = [pytest.mark.anyio, pytest.mark.slow]\n{text}")
    assert dict(claims_of_every_change(of_all)) == {}
