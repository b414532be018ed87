"""What functions of the product are given: the ports and parts that they use, and no walk."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.answers import answers
from tests.tidy.tree import ROOT, Module
from tests.tidy.tree import functions as functions_of

SOURCES = ROOT / "src/answerable"
PARTS = {
    "flows/state/parts.py": ("Recorder", "AuthorityRegisters", "AskingState", "LiveAccess", "Counters"),
    "flows/state/worlds.py": ("Verification",),
    "flows/state/policy_desk.py": ("PolicyState",),
}
"""The parts of a process. What their members are is what a function may be given in place of all of them."""
COLLABORATORS_MAX = 4
EVERYWHERE = {"Clock", "Entropy", "WalkLimits"}
"""Given beside collaborators: the time, chance, and settings, which are values."""
STEPS = {
    "flows/state/steps.py": ("Planning", "Deciding"),
    "flows/state/drill_desk.py": ("Applying",),
}
"""Structs of what one step uses: at most four members each."""


def functions() -> Iterator[tuple[Path, str, list[list[str]]]]:
    """Every function with its module, its name, and the names in the annotation of each parameter."""
    for path, there in answers(given, "src").items():
        inside = (ROOT / path).relative_to(SOURCES)
        yield from ((inside, name, names) for name, names in there)


def given(module: Module) -> Iterator[tuple[str, list[list[str]]]]:
    """Of each function, the names in the annotation of each parameter."""
    for function in functions_of(module):
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        found = [one.annotation for one in every if one.annotation is not None]
        names = ({part.id for part in ast.walk(one) if isinstance(part, ast.Name)} for one in found)
        yield function.name, [sorted(several) for several in names]


def members(path: str, name: str) -> list[ast.AnnAssign]:
    """The members of a class."""
    for node in ast.parse((SOURCES / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return [one for one in node.body if isinstance(one, ast.AnnAssign)]
    raise AssertionError(f"{path} has no class {name}")


def collaborators() -> set[str]:
    """The types of what a walk consists of: ports, parts and their state, by class name."""
    found: set[str] = set()
    for path, names in {**PARTS, **STEPS}.items():
        tree = ast.parse((SOURCES / path).read_text(encoding="utf-8"))
        ours = {
            one.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith(("answerable.ports.", "answerable.flows.state."))
            for one in node.names
        }
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name in names:
                found.add(node.name)
                for member in node.body:
                    if isinstance(member, ast.AnnAssign):
                        types = {
                            part.id for part in ast.walk(member.annotation) if isinstance(part, ast.Name)
                        }
                        found |= types & (ours | set(sum((*PARTS.values(), *STEPS.values()), ())))
    return found - EVERYWHERE


@pytest.mark.requirement("HOUSE-05")
def test_only_wiring_knows_the_whole_walk() -> None:
    """Where everything is put together. Whoever runs on it reads its parts, and is not given the walk."""
    taking = [
        f"{path}: {name}"
        for path, name, each in functions()
        if path.parts[0] != "wiring" and any("Walk" in names for names in each)
    ]
    assert not taking, "name what the function uses"
    naming = [str(path) for path in SOURCES.glob("flows/**/*.py") if "wiring.walk" in path.read_text("utf-8")]
    assert not naming


@pytest.mark.requirement("HOUSE-05")
def test_what_a_step_uses_has_four_members_at_most() -> None:
    for path, names in STEPS.items():
        for name in names:
            assert len(members(path, name)) <= COLLABORATORS_MAX, name


@pytest.mark.requirement("HOUSE-05")
def test_a_flow_is_given_four_collaborators_at_most() -> None:
    known = collaborators()
    assert {"Ledger", "RegistryStore", "Recorder", "PolicyState", "Worlds"} <= known
    counts = {
        f"{path}: {name}": sum(bool({*names} & known) for names in each)
        for path, name, each in functions()
        if path.parts[0] == "flows"
    }
    assert not {name: count for name, count in counts.items() if count > COLLABORATORS_MAX}
