"""Error codes are declared data: once, used, and nowhere written a second time."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator

import pytest

from answerable.errors import Code
from reference import BRANCHES, FOLDER, declared_codes
from tests.tidy.tree import ROOT, Module, modules, parsed

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


def elsewhere() -> list[Module]:
    return [one for one in modules("src") if not one.path.startswith(DECLARATIONS)]


def test_a_code_is_declared_once_under_its_own_name() -> None:
    declared = declared_codes()
    assert len({name for _, name, _ in declared}) == len(declared)
    assert len({(code.id, type(code)) for _, _, code in declared}) == len(declared)
    texts = [
        str(node.args[0].value)
        for module in modules("src")
        if module.path.startswith(f"{DECLARATIONS}codes/")
        for node in module.nodes
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
    ]
    assert sorted(texts) == sorted({code.id for _, _, code in declared}), "each id is written once"
    for _, name, code in declared:
        own = code.id.upper().replace(".", "_")
        assert CODE.fullmatch(code.id)
        assert name in (own, f"{own}_{branch_of(code).upper()}")
        assert code.says == code.says.strip()
        assert code.says


def test_every_declared_code_is_used() -> None:
    used = {
        node.id if isinstance(node, ast.Name) else node.attr
        for module in elsewhere()
        for node in module.nodes
        if isinstance(node, ast.Name | ast.Attribute)
    }
    assert not sorted(by_name().keys() - used)


def written_out(module: Module) -> Iterator[str]:
    """Codes that are given as text, whole or in parts, and not as what is declared."""
    for node in module.nodes:
        if isinstance(node, ast.keyword) and node.arg in ("code", "source"):
            for part in ast.walk(node.value):
                whole = isinstance(part, ast.Constant) and CODE.fullmatch(str(part.value))
                if whole or (isinstance(part, ast.JoinedStr) and node.arg == "code"):
                    yield f"{module.path}:{node.value.lineno}: {ast.unparse(part)}"


def test_no_error_is_made_with_a_code_that_is_written_out() -> None:
    assert not [found for module in elsewhere() for found in written_out(module)]


def without_a_message(module: Module) -> Iterator[str]:
    """Calls of a code that leave the message to a declaration which has none, but an example."""
    for node in module.nodes:
        if isinstance(node, ast.Call) and not node.args:
            name = ast.unparse(node.func).rpartition(".")[2]
            code = by_name().get(name)
            if code is not None and "…" in code.says:
                yield f"{module.path}:{node.lineno}: {name}"


def test_a_call_without_a_message_is_of_a_code_that_has_one() -> None:
    assert not [found for module in elsewhere() for found in without_a_message(module)]


def compared_with(module: Module) -> Iterator[str]:
    """Texts that the code of an error is compared with, and that are no code."""
    for node in module.nodes:
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.left, ast.Attribute)
            and node.left.attr == "code"
        ):
            for part in ast.walk(node.comparators[0]):
                text = str(part.value) if isinstance(part, ast.Constant) else ""
                if CODE.fullmatch(text) and text not in {code.id for code in by_name().values()}:
                    yield f"{module.path}:{node.lineno}: {text}"


def test_what_a_code_is_compared_with_is_declared() -> None:
    assert not [found for module in elsewhere() for found in compared_with(module)]


def listed(module: Module) -> Iterator[str]:
    """What is no code in constants that list codes: the statuses of a door, what a rule counts."""
    declared = {code.id for code in by_name().values()} | NO_ERRORS
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            within = node.value.keys if isinstance(node.value, ast.Dict) else [node.value]
            parts = [part for one in within if one is not None for part in ast.walk(one)]
            texts = [str(part.value) for part in parts if isinstance(part, ast.Constant)]
            found = {text for text in texts if CODE.fullmatch(text)}
            if found & declared and len(texts) > 1:
                yield from (f"{module.path}: {text}" for text in sorted(found - declared))


def test_what_is_listed_beside_codes_is_declared() -> None:
    assert not [found for module in elsewhere() for found in listed(module)]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (written_out, 'raise Malformed("odd", code="json.depth")'),
        (written_out, 'raise Malformed("odd", code=f"{step}.depth")'),
        (written_out, 'raise Refused("odd", code="json.depth" if deep else other)'),
        (written_out, 'Reason(source="json.depth", text="odd")'),
        (without_a_message, "raise JSON_DEPTH()"),
        (without_a_message, "raise codes.JSON_DEPTH()"),
        (compared_with, 'error.code == "json.no_such"'),
        (compared_with, 'error.code in ("json.depth", "json.no_such")'),
        (listed, 'STATUSES = {"json.depth": 400, "json.no_such": 404}'),
        (listed, 'OURS: Final = frozenset({"json.depth", "json.no_such"})'),
    ],
)
def test_a_planted_fault_is_found(rule: Callable[[Module], Iterator[str]], text: str) -> None:
    assert len([*rule(parsed("src/answerable/one.py", text))]) == 1


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (written_out, "raise Refused(fault.message, code=fault.code)"),
        (written_out, 'Caveat(code="uncovered")'),
        (without_a_message, 'raise JSON_DEPTH("nested too deep")'),
        (without_a_message, "raise JSON_NOT_CANONICAL()"),
        (compared_with, 'error.code == "json.depth"'),
        (listed, 'STATUSES = {"json.depth": "json.no_such", "json.size": 413}'),
        (listed, 'NAMES = ("registry.yaml", "answerable.toml")'),
    ],
)
def test_its_neighbour_is_none(rule: Callable[[Module], Iterator[str]], text: str) -> None:
    assert not [*rule(parsed("src/answerable/one.py", text))]


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
