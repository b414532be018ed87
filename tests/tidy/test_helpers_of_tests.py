"""What stands directly under tests/ is there for several test files; what one alone uses lies with it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import PurePath

import pytest

from tests.tidy.answers import answers
from tests.tidy.rules import STARTED_BY_PATH
from tests.tidy.tree import Module, imports, modules, parsed


def is_test(path: str) -> bool:
    return PurePath(path).name.startswith("test_")


def is_helper(path: str) -> bool:
    return path.count("/") == 1 and path.startswith("tests/") and not is_test(path)


def used_by_few(found: dict[str, list[str]], listed: frozenset[str] = frozenset()) -> list[str]:
    """Faults: helpers that less than two test files reach, through helpers alone, and entries of the list that are no
    longer so. found: by path, what it names."""
    by_name = {path.removesuffix(".py").replace("/", "."): path for path in found}
    users: defaultdict[str, set[str]] = defaultdict(set)
    for test in filter(is_test, found):
        left, seen = [test], {test}
        while left:
            for name in found[left.pop()]:
                other = by_name.get(name)
                if other and other not in seen and not is_test(other):
                    seen.add(other)
                    left.append(other)
                    users[other].add(test)
    faults = []
    for path in sorted({*filter(is_helper, found)} | listed):
        many = len(users[path]) > 1
        if not many and path not in listed:
            who = ", ".join(users[path]) or "nobody"
            faults.append(f"{path}: serves {who} alone; it belongs there, or into that folder")
        if path in listed and (many or path not in found):
            faults.append(f"{path}: is gone or has users: take it off the list")
    return faults


def named(module: Module) -> list[str]:
    """Modules of tests that it imports, or starts by their dotted names."""
    texts = (node.value for node in module.nodes if isinstance(node, ast.Constant))
    names = {text.partition(":")[0] for text in texts if isinstance(text, str)}
    return sorted(one for one in names | {name for name, _ in imports(module)} if one.startswith("tests."))


@pytest.mark.requirement("SMALL-01")
def test_helpers_of_all_tests_serve_at_least_two_test_files():
    assert not used_by_few(answers(named, "tests"), frozenset(STARTED_BY_PATH))


@pytest.mark.requirement("SMALL-01")
def test_a_world_of_one_test_is_found_and_one_of_two_is_none():
    one = parsed("tests/test_one.py", "from tests.lone_world import x\nfrom tests.world import y")
    two = parsed("tests/unit/test_two.py", "import tests.unit.place_world")
    found = (
        one,
        two,
        parsed("tests/lone_world.py", "START = 'tests.program:main'"),
        parsed("tests/program.py", ""),
        parsed("tests/world.py", ""),
        parsed("tests/unit/place_world.py", "import tests.world"),
        parsed("tests/path_program.py", ""),
    )
    told = {one.path: named(one) for one in found}
    faults = used_by_few(told, frozenset({"tests/path_program.py"}))
    assert [fault.partition(":")[0] for fault in faults] == ["tests/lone_world.py", "tests/program.py"]
    # Through another test file nobody is served, and a list that is out of date is told.
    third = parsed("tests/test_three.py", "import tests.test_one")
    faults = used_by_few({**told, third.path: named(third)}, frozenset({"tests/world.py", "tests/none.py"}))
    assert [fault.partition(":")[0] for fault in faults] == [
        "tests/lone_world.py",
        "tests/none.py",
        "tests/path_program.py",
        "tests/program.py",
        "tests/world.py",
    ]


@pytest.mark.requirement("FAST-11")
def test_nobody_runs_the_demo_as_it_is_to_its_end_but_for_all() -> None:
    texts = {module.path: module.text for module in modules("tests") if is_test(module.path)}
    del texts["tests/tidy/test_helpers_of_tests.py"]
    calls = [
        (path, call)
        for path, text in texts.items()
        for call in re.findall(r"\brun_demo\((.*?)\)$", text, re.MULTILINE)
    ]
    whole = "tests/system/test_demo.py"
    assert [one for one in calls if "examples=examples" not in one[1]] == [(whole, "folder")]
    assert "letters.txt" in texts[whole].split("run_demo(folder)")[0][-300:]
