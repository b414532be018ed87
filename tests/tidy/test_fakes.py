"""What stands in the place of a real part in a test is named in tests/fakes.toml, with the reason; nothing else is.

A fake is a class of a test, of `answerable.testing` or of `adapters/memory` that answers in the place of a port: all of
it, or some of it and the rest by `__getattr__`, or by its own word; and whatever is called one. A function that takes
the place of another for one test is none, nor is a program of its own: they are seen where they stand.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator

import pytest

from tests.tidy.tree import ROOT, Module, modules, parsed

LISTED = ROOT / "tests/fakes.toml"
PLACES = ("src/answerable/testing/", "src/answerable/adapters/memory/", "tests/")
SOURCES = ("src/answerable/adapters", "src/answerable/ports", "src/answerable/testing")
PORTS = "src/answerable/ports/"
NAMES = ("Memory", "Fake", "Stub", "Scripted")
SAID = re.compile(r"\b(?:Ports?|Implements) `?(?:ports\.(?:\w+\.)?)?([A-Z]\w+)")
LEAST_MEMBERS = 2
"""A port of one name is met by chance."""

Place = tuple[str, str]
"""Path and class."""


def classes_of(module: Module) -> Iterator[ast.ClassDef]:
    return (node for node in module.nodes if isinstance(node, ast.ClassDef))


def is_protocol(node: ast.ClassDef) -> bool:
    return "Protocol" in map(ast.unparse, node.bases)


def members_of(node: ast.ClassDef) -> set[str]:
    """Names that it defines itself, by a function, an annotation, or by assigning to them."""
    found: set[str] = set()
    for part in node.body:
        match part:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                found.add(name)
    for inner in ast.walk(node):
        match inner:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                found.add(name)
    return found


class Classes:
    """Classes by name, so that what one inherits can be found."""

    def __init__(self, found: Iterable[Module]) -> None:
        self.known: dict[str, list[tuple[str, ast.ClassDef]]] = {}
        for module in found:
            for node in classes_of(module):
                self.known.setdefault(node.name, []).append((module.path, node))

    def members(self, path: str, node: ast.ClassDef, seen: tuple[str, ...] = ()) -> set[str]:
        """Its own and inherited ones; of two bases of one name, that of the same file."""
        found = members_of(node)
        for base in node.bases:
            name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
            if name in seen or name == node.name:
                continue
            named = self.known.get(name, [])
            for where, one in [one for one in named if one[0] == path] or named:
                found |= self.members(where, one, (*seen, name))
        return found


def ports_of(found: Iterable[Module]) -> dict[str, set[str]]:
    """What each port promises: names of its functions and values."""
    return {
        node.name: {name for name in members_of(node) if not name.startswith("_")}
        for module in found
        if module.path.startswith(PORTS)
        for node in classes_of(module)
        if is_protocol(node)
    }


def is_called_one(node: ast.ClassDef, ports: Iterable[str]) -> bool:
    said = SAID.findall(ast.get_docstring(node) or "")
    return (
        node.name.lstrip("_").startswith(NAMES) or "StandIn" in node.name or any(one in ports for one in said)
    )


def fakes_in(found: tuple[Module, ...]) -> set[Place]:
    classes, fakes, ports = Classes(found), set(), ports_of(found)
    whole = [one for one in ports.values() if len(one) >= LEAST_MEMBERS]
    for module in found:
        if not module.path.startswith(PLACES):
            continue
        for node in classes_of(module):
            if is_protocol(node) or node.name.startswith("Test"):
                continue
            members = classes.members(module.path, node)
            stands_in = "__getattr__" in members or any(port <= members for port in whole)
            if stands_in or is_called_one(node, ports):
                fakes.add((module.path, node.name))
    return fakes


def listed() -> dict[str, dict[str, list[str]]]:
    """By reason: classes by file, and why."""
    return tomllib.loads(LISTED.read_text(encoding="utf-8"))


def named() -> list[Place]:
    return [
        (path, name)
        for reason in listed().values()
        for path, names in reason.items()
        if path != "why"
        for name in names
    ]


@pytest.mark.requirement("SHIPPED-10")
def test_every_fake_is_named_once_with_its_reason_and_nothing_else_is():
    found, told = fakes_in((*modules(*SOURCES), *modules("tests"))), named()
    assert [one for one in told if told.count(one) > 1] == []
    assert sorted(found - {*told}) == [], "a real part, or a line in tests/fakes.toml with the reason"
    assert sorted({*told} - found) == [], "no fake any more: take it out of tests/fakes.toml"
    for name, reason in listed().items():
        assert reason["why"], name


@pytest.mark.requirement("SHIPPED-10")
@pytest.mark.parametrize(
    ("text", "is_fake"),
    [
        ("class Slow:\n    def now(self): ...\n    def monotonic(self): ...", True),
        ("class Slow:\n    def __init__(self):\n        self.now = self.monotonic = None", True),
        ("class Slow(Kept):\n    extra = 1", True),
        ("class Slow:\n    def __getattr__(self, name): ...", True),
        ("def test_a():\n    class Slow:\n        now: int\n        monotonic: int", True),
        ("class FakeThing: ...", True),
        ("class _MemoryThing: ...", True),
        ('class Slow:\n    """Port Clock over nothing."""', True),
        ("class Slow:\n    def now(self): ...", False),
        ("class TestSlow(Kept): ...", False),
    ],
)
def test_a_new_fake_is_found(text: str, is_fake: bool):
    port = parsed(
        f"{PORTS}clock.py", "class Clock(Protocol):\n    def now(self): ...\n    def monotonic(self): ..."
    )
    real = parsed(
        "src/answerable/adapters/x.py", "class Kept:\n    def now(self): ...\n    def monotonic(self): ..."
    )
    assert bool(fakes_in((port, real, parsed("tests/unit/test_x.py", text)))) is is_fake
