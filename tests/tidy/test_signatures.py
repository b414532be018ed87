"""What functions of the product are given: the ports and parts that they use, and a whole walk in few places."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "src/answerable"
PARTS = {
    "flows/state/parts.py": ("Recorder", "AuthorityRegisters", "AskingState", "LiveAccess", "Counters"),
    "flows/state/worlds.py": ("Verification",),
    "flows/state/policy_desk.py": ("PolicyState",),
    "flows/state/walk.py": ("Walk",),
}
"""The parts of a walk. What their members are is what a function may be given in place of a walk."""
COLLABORATORS_MAX = 4
MORE = {
    "flows/approval/answer_by_click.py: _answered": 5, "flows/approval/answer_by_click.py: take_click": 5,
    "flows/approval/notify_people.py: _reaching": 5, "flows/approval/notify_people.py: _seen": 5,
    "flows/approval/notify_people.py: notify_people": 5, "flows/approval/sort_deliveries.py: sort_out": 5,
    "flows/revocation/end_leases.py: _hear": 5,
}  # fmt: skip
"""Those with more, which are to fall. None is added."""
EVERYWHERE = {"Clock", "Entropy", "WalkLimits"}
"""Given beside collaborators: the time, chance, and settings, which are values."""
WHOLE_WALKS = {
    "apps/console": 1, "flows/approval": 2, "flows/counters": 1, "flows/escalation": 1, "flows/policy": 3,
    "flows/registry": 2, "flows/tokens": 1, "flows/walk": 27, "flows/workloads": 2, "testing": 2, "wiring": 36,
}  # fmt: skip
"""By room: how many functions take a whole walk. A figure falls with them and never rises."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[Path, Function]]:
    """Every function with its module."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield path.relative_to(SOURCES), node


def given(function: Function) -> list[set[str]]:
    """The names in the annotation of each parameter."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    found = [one.annotation for one in every if one.annotation is not None]
    return [{part.id for part in ast.walk(one) if isinstance(part, ast.Name)} for one in found]


def collaborators() -> set[str]:
    """The types of what a walk consists of: ports, parts and their state, by class name."""
    found: set[str] = set()
    for path, names in PARTS.items():
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
                        found |= types & (ours | set(sum(PARTS.values(), ())))
    return found - EVERYWHERE


@pytest.mark.requirement("HOUSE-05")
def test_few_functions_take_a_whole_walk_and_ever_fewer() -> None:
    taking = Counter(
        str(path.parent) for path, one in functions() if any(names == {"Walk"} for names in given(one))
    )
    assert dict(sorted(taking.items())) == WHOLE_WALKS, "name what the function uses, or lower the figure"


@pytest.mark.requirement("HOUSE-05")
def test_a_flow_is_given_four_collaborators_at_most() -> None:
    known = collaborators()
    assert {"Ledger", "RegistryStore", "Recorder", "PolicyState", "Worlds"} <= known
    counts = {
        f"{path}: {one.name}": sum(bool(names & known) for names in given(one))
        for path, one in functions()
        if path.parts[0] == "flows"
    }
    assert {name: count for name, count in counts.items() if count > COLLABORATORS_MAX} == MORE
