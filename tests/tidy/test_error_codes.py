"""Error codes are declared data: once, used, and nowhere written a second time."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from answerable.errors import Code
from reference import BRANCHES, FOLDER, declared_codes
from tests.tidy.answers import Question, answers, found
from tests.tidy.tree import ROOT, Module, parsed

DECLARATIONS = "src/answerable/errors/"
CODE = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+")
STABLE = ROOT / "tests" / "tidy" / "stable_codes.txt"
"""Code and branch of each that was ever declared, one a line; nothing is taken off it."""

NO_ERRORS = {"session.unknown", "session.missing", "http.too_many", "instance.expired", "agent.suspended"}
"""Written beside codes: what the MCP door answers as JSON-RPC, and for what an instance has ended."""

pytestmark = pytest.mark.requirement("HOUSE-20")


def branch_of(code: Code) -> str:
    return BRANCHES[type(code)][0]


@functools.cache
def by_name() -> dict[str, Code]:
    return {name: code for _, name, code in declared_codes()}


def elsewhere(question: Question) -> list[Any]:
    """What it finds in the product beside the declarations."""
    there = answers(question, "src")
    return [one for path, several in there.items() if not path.startswith(DECLARATIONS) for one in several]


def ids(module: Module) -> list[str]:
    """Texts that calls are given first: where codes are declared, their ids."""
    return [
        str(node.args[0].value)
        for node in module.nodes
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
    ]


def test_a_code_is_declared_once_under_its_own_name() -> None:
    declared = declared_codes()
    assert len({name for _, name, _ in declared}) == len(declared)
    assert len({(code.id, type(code)) for _, _, code in declared}) == len(declared)
    texts = found(ids, f"{DECLARATIONS}codes")
    assert sorted(texts) == sorted({code.id for _, _, code in declared}), "each id is written once"
    for _, name, code in declared:
        own = code.id.upper().replace(".", "_")
        assert CODE.fullmatch(code.id)
        assert name in (own, f"{own}_{branch_of(code).upper()}")
        assert code.says == code.says.strip()
        assert code.says


def constants(module: Module) -> list[str]:
    """Names in capitals that it uses."""
    names = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in module.nodes
        if isinstance(node, ast.Name | ast.Attribute)
    }
    return sorted(name for name in names if name.isupper())


def test_every_declared_code_is_used() -> None:
    assert not sorted(by_name().keys() - {*elsewhere(constants)})


def written_out(module: Module) -> Iterator[str]:
    """Codes that are given as text, whole or in parts, and not as what is declared."""
    for node in module.nodes:
        if isinstance(node, ast.keyword) and node.arg in ("code", "source"):
            for part in ast.walk(node.value):
                whole = isinstance(part, ast.Constant) and CODE.fullmatch(str(part.value))
                if whole or (isinstance(part, ast.JoinedStr) and node.arg == "code"):
                    yield f"{module.path}:{node.value.lineno}: {ast.unparse(part)}"


def test_no_error_is_made_with_a_code_that_is_written_out() -> None:
    assert not elsewhere(written_out)


def called_plainly(module: Module) -> Iterator[tuple[str, str]]:
    """Calls of names in capitals without a message, and where."""
    for node in module.nodes:
        if isinstance(node, ast.Call) and not node.args and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name.isupper():
                yield name, f"{module.path}:{node.lineno}: {name}"


def without_a_message(calls: Iterable[tuple[str, str]]) -> list[str]:
    """Calls of a code that leave the message to a declaration which has none, but an example."""
    return [place for name, place in calls if (code := by_name().get(name)) and "…" in code.says]


def test_a_call_without_a_message_is_of_a_code_that_has_one() -> None:
    assert not without_a_message(elsewhere(called_plainly))


def compared(module: Module) -> Iterator[tuple[str, str]]:
    """Texts like codes that the code of an error is compared with, and where."""
    for node in module.nodes:
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.left, ast.Attribute)
            and node.left.attr == "code"
        ):
            for part in ast.walk(node.comparators[0]):
                text = str(part.value) if isinstance(part, ast.Constant) else ""
                if CODE.fullmatch(text):
                    yield text, f"{module.path}:{node.lineno}: {text}"


def compared_with_none(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Of these, what is no code."""
    known = {code.id for code in by_name().values()}
    return [place for text, place in texts if text not in known]


def test_what_a_code_is_compared_with_is_declared() -> None:
    assert not compared_with_none(elsewhere(compared))


def listed(module: Module) -> Iterator[tuple[str, list[str]]]:
    """Texts like codes in constants of several texts, and where."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            within = node.value.keys if isinstance(node.value, ast.Dict) else [node.value]
            parts = [part for one in within if one is not None for part in ast.walk(one)]
            texts = [str(part.value) for part in parts if isinstance(part, ast.Constant)]
            codes = sorted({text for text in texts if CODE.fullmatch(text)})
            if codes and len(texts) > 1:
                yield module.path, codes


def listed_beside_codes(lists: Iterable[tuple[str, list[str]]]) -> list[str]:
    """What is no code in constants that list codes: the statuses of a door, what a rule counts."""
    known = {code.id for code in by_name().values()} | NO_ERRORS
    return [
        f"{path}: {text}" for path, texts in lists if known & {*texts} for text in texts if text not in known
    ]


def test_what_is_listed_beside_codes_is_declared() -> None:
    assert not listed_beside_codes(elsewhere(listed))


def same(told: Iterable[str]) -> list[str]:
    return [*told]


@pytest.mark.parametrize(
    ("question", "rule", "text"),
    [
        (written_out, same, 'raise Malformed("odd", code="json.depth")'),
        (written_out, same, 'raise Malformed("odd", code=f"{step}.depth")'),
        (written_out, same, 'raise Refused("odd", code="json.depth" if deep else other)'),
        (written_out, same, 'Reason(source="json.depth", text="odd")'),
        (called_plainly, without_a_message, "raise JSON_DEPTH()"),
        (called_plainly, without_a_message, "raise codes.JSON_DEPTH()"),
        (compared, compared_with_none, 'error.code == "json.no_such"'),
        (compared, compared_with_none, 'error.code in ("json.depth", "json.no_such")'),
        (listed, listed_beside_codes, 'STATUSES = {"json.depth": 400, "json.no_such": 404}'),
        (listed, listed_beside_codes, 'OURS: Final = frozenset({"json.depth", "json.no_such"})'),
    ],
)
def test_a_planted_fault_is_found(question: Question, rule: Callable[[Any], list[str]], text: str) -> None:
    assert len(rule(question(parsed("src/answerable/one.py", text)))) == 1


@pytest.mark.parametrize(
    ("question", "rule", "text"),
    [
        (written_out, same, "raise Refused(fault.message, code=fault.code)"),
        (written_out, same, 'Caveat(code="uncovered")'),
        (called_plainly, without_a_message, 'raise JSON_DEPTH("nested too deep")'),
        (called_plainly, without_a_message, "raise JSON_NOT_CANONICAL()"),
        (compared, compared_with_none, 'error.code == "json.depth"'),
        (listed, listed_beside_codes, 'STATUSES = {"json.depth": "json.no_such", "json.size": 413}'),
        (listed, listed_beside_codes, 'NAMES = ("registry.yaml", "answerable.toml")'),
    ],
)
def test_its_neighbour_is_none(question: Question, rule: Callable[[Any], list[str]], text: str) -> None:
    assert not rule(question(parsed("src/answerable/one.py", text)))


@pytest.mark.requirement("HOUSE-21")
def test_no_code_that_was_ever_declared_is_gone_or_of_another_branch() -> None:
    declared = {f"{code.id} {branch_of(code)}" for _, _, code in declared_codes()}
    stable = STABLE.read_text(encoding="utf-8").splitlines()
    assert stable == sorted(set(stable))
    assert not sorted(set(stable) - declared), "a code is stable: declare it as it was"
    assert not sorted(declared - set(stable)), f"add what is new to {STABLE.relative_to(ROOT)}"


@pytest.mark.requirement("HOUSE-22")
def test_the_reference_lists_every_code_that_is_declared_and_no_other() -> None:
    branch, rows = "", []
    for line in (FOLDER / "errors.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (\w+):", line):
            branch = heading[1]
        if row := re.match(r"\| `([^`]+)` \|", line):
            rows.append(f"{row[1]} {branch}")
    assert sorted(rows) == sorted(f"{code.id} {branch_of(code)}" for _, _, code in declared_codes())
