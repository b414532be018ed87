"""What stands in the place of a real part in a test is named in tests/fakes.toml, with the reason; nothing else is.

A fake is a class of a test, of `answerable.testing` or of `adapters/memory` that answers in the place of a port: all of
it, or some of it and the rest by `__getattr__`, or by its own word; and whatever is called one. A function that takes
the place of another for one test is none, nor is a program of its own: they are seen where they stand.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pytest

from tests.tidy.answers import answers
from tests.tidy.tree import ROOT, Module, parsed

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


class Class(NamedTuple):
    """What counts of one. said: ports that its docstring names."""

    name: str
    bases: list[str]
    members: list[str]
    said: list[str]

    @property
    def is_protocol(self) -> bool:
        return "Protocol" in self.bases


def classes_of(module: Module) -> Iterator[Class]:
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            said = SAID.findall(ast.get_docstring(node) or "")
            yield Class(node.name, [*map(ast.unparse, node.bases)], sorted(members_of(node)), said)


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

    def __init__(self, found: Mapping[str, Iterable[Class]]) -> None:
        self.known: dict[str, list[tuple[str, Class]]] = {}
        for path, there in found.items():
            for one in there:
                self.known.setdefault(one.name, []).append((path, one))

    def members(self, path: str, of: Class, seen: tuple[str, ...] = ()) -> set[str]:
        """Its own and inherited ones; of two bases of one name, that of the same file."""
        found = {*of.members}
        for base in of.bases:
            name = base.partition("[")[0].rpartition(".")[2]
            if name in seen or name == of.name:
                continue
            named = self.known.get(name, [])
            for where, one in [one for one in named if one[0] == path] or named:
                found |= self.members(where, one, (*seen, name))
        return found


def ports_of(found: Mapping[str, Iterable[Class]]) -> dict[str, set[str]]:
    """What each port promises: names of its functions and values."""
    return {
        one.name: {name for name in one.members if not name.startswith("_")}
        for path, there in found.items()
        if path.startswith(PORTS)
        for one in there
        if one.is_protocol
    }


def is_called_one(one: Class, ports: Iterable[str]) -> bool:
    return (
        one.name.lstrip("_").startswith(NAMES)
        or "StandIn" in one.name
        or any(port in ports for port in one.said)
    )


def fakes_in(found: Mapping[str, Iterable[Class]]) -> set[Place]:
    classes, fakes, ports = Classes(found), set(), ports_of(found)
    whole = [one for one in ports.values() if len(one) >= LEAST_MEMBERS]
    for path, there in found.items():
        if not path.startswith(PLACES):
            continue
        for one in there:
            if one.is_protocol or one.name.startswith("Test"):
                continue
            members = classes.members(path, one)
            stands_in = "__getattr__" in members or any(port <= members for port in whole)
            if stands_in or is_called_one(one, ports):
                fakes.add((path, one.name))
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
    there = answers(classes_of, *SOURCES, "tests")
    found = fakes_in({path: [Class(*one) for one in several] for path, several in there.items()})
    told = named()
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
    found = (port, real, parsed("tests/unit/test_x.py", text))
    assert bool(fakes_in({one.path: [*classes_of(one)] for one in found})) is is_fake
