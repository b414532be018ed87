"""What `./dev check` stands on when it leaves out who does not say a name: making a class or an object does no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.answers import found
from tests.tidy.tree import Module, parsed

HOOKS = {"__class_getitem__", "__init_subclass__", "__set_name__"}
CONSTRUCTORS = {"__init__", "__new__", "__post_init__"}
CHANGES = set("add append extend insert pop popitem register remove setdefault update".split())
pytestmark = pytest.mark.requirement("FAST-15")


def loud(module: Module) -> Iterator[str]:
    """Classes that have a hook for others, and constructors that change what their module holds."""
    held = {
        name.id
        for one in module.tree.body
        if isinstance(one, ast.Assign | ast.AnnAssign)
        for name in ast.walk(one)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            if any(one.arg == "metaclass" for one in node.keywords):
                yield f"{module.path}:{node.lineno} has a metaclass"
            for each in node.body:
                if getattr(each, "name", "") in HOOKS:
                    yield f"{module.path}:{each.lineno} is a hook for other classes"
                if getattr(each, "name", "") in CONSTRUCTORS and any(
                    _changes(one, held) for one in ast.walk(each)
                ):
                    yield f"{module.path}:{each.lineno} changes what its module holds"


def _changes(node: ast.AST, held: set[str]) -> bool:
    match node:
        case ast.Global():
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=done)):
            return name in held and done in CHANGES
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            return name in held
    return False


def test_making_a_class_or_an_object_changes_nothing_else() -> None:
    assert found(loud, "src") == []


@pytest.mark.parametrize(
    "text",
    [
        "class A(metaclass=B): pass",
        "class A:\n    def __init_subclass__(cls): pass",
        "KNOWN = []\nclass A:\n    def __init__(self): KNOWN.append(self)",
        "KNOWN: dict = {}\nclass A:\n    def __post_init__(self): KNOWN[1] = self",
        "class A:\n    def __new__(cls):\n        global known\n        known = 1",
    ],
)
def test_what_does_more_is_told(text: str) -> None:
    assert len([*loud(parsed("src/answerable/a.py", text))]) == 1
    assert not [*loud(parsed("src/answerable/a.py", "class A:\n    def __init__(self): self.b = []"))]
