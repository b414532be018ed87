"""Every module is reached from an entry point or a public room; what nobody reaches is clutter."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import tomllib

import pytest

import answerable
from tests.tidy import rules
from tests.tidy.answers import answers
from tests.tidy.tree import ROOT, Module, imports, parsed

EMPTY = "-"


def declared() -> set[str]:
    """Modules that entry points of our distribution lead to."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {place.partition(":")[0] for group in project["entry-points"].values() for place in group.values()}


def unreached(found: dict[str, list[str]]) -> list[str]:
    """Paths of modules that no chain of imports leads to. found: by path, what each leads to."""
    by_name = {parsed(path, "").name: path for path in found}
    public = [name for name in by_name if name.split(".")[1:2] and name.split(".")[1] in rules.PUBLIC_ROOMS]
    waiting = [*rules.ENTRY_MODULES, *declared()]
    waiting += [name for name in public if by_name[name].endswith("/__init__.py")]
    waiting += [name for name in by_name if name.rpartition(".")[0] in rules.PUBLIC_PACKAGES]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in reached or name not in by_name:
            continue
        reached.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        waiting += found[by_name[name]]
    return [path for name, path in by_name.items() if name not in reached and found[path] != [EMPTY]]


def leads(module: Module) -> list[str]:
    """Modules that it imports or names in a text, as some are loaded late; EMPTY alone for a package's face that holds
    nothing but its docstring."""
    if module.is_package and all(isinstance(node, ast.Expr) for node in module.tree.body):
        return [EMPTY]
    texts = (node.value for node in module.nodes if isinstance(node, ast.Constant))
    named = {text.partition(":")[0] for text in texts if isinstance(text, str)}
    return sorted(
        {name for name, _ in imports(module)}
        | {name for name in named if name.startswith(answerable.__name__)}
    )


def test_no_module_is_dead():
    found = answers(leads, "src")
    # Before the process itself is put together nothing can be reached from it, and the rule has no meaning.
    if "src/answerable/main/__init__.py" in found:
        assert not unreached(found)


@pytest.mark.requirement("FAST-15")
def test_every_module_can_be_read():
    """Else test files that are left out, since they say nothing of what has changed, would fail."""
    for found in pkgutil.walk_packages(answerable.__path__, "answerable."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def test_a_dead_module_is_found_and_a_late_import_is_not_dead():
    found = (
        parsed("src/answerable/__init__.py", ""),
        parsed(
            "src/answerable/main.py",
            "def run():\n    from answerable.apps import cli\n    load('answerable.late:go')",
        ),
        parsed("src/answerable/apps/__init__.py", '"""Doors."""'),
        parsed("src/answerable/apps/cli.py", "import answerable.errors"),
        parsed("src/answerable/errors.py", ""),
        parsed("src/answerable/late.py", ""),
        parsed("src/answerable/verify/__init__.py", "from answerable.verify.bundle import check"),
        parsed("src/answerable/verify/bundle.py", ""),
        parsed("src/answerable/testing/samples.py", ""),
        parsed("src/answerable/adapters/memory/ledger.py", ""),
        parsed("src/answerable/adapters/other/ledger.py", ""),
        parsed("src/answerable/ring_a.py", "import answerable.ring_b"),
        parsed("src/answerable/ring_b.py", "import answerable.ring_a"),
    )
    assert unreached({one.path: leads(one) for one in found}) == [
        "src/answerable/adapters/memory/ledger.py",
        "src/answerable/adapters/other/ledger.py",
        "src/answerable/ring_a.py",
        "src/answerable/ring_b.py",
    ]
