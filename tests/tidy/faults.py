"""The tidy rules as functions from one parsed module to its faults, so that planted faults can try them."""

from __future__ import annotations

import ast
import fnmatch
import re
import sys

from tests.tidy import rules
from tests.tidy.tree import FunctionNode, Module, aliases, dotted, functions, imports

WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+\d*|[A-Z]+\d*|\d+")


def names(module: Module) -> list[str]:
    """Modules, classes and functions named with a word that says nothing."""
    stem = module.path.rpartition("/")[2].removesuffix(".py")
    named = [(stem, 1)]
    for node in module.nodes:
        if isinstance(node, ast.ClassDef | FunctionNode):
            named.append((node.name, node.lineno))
    return [
        f"{module.path}:{line}: `{name}` says nothing: {', '.join(sorted(found))}"
        for name, line in named
        if (found := {word.lower() for word in WORD.findall(name)} & rules.BANNED_WORDS)
        and f"{module.path}: {name}" not in rules.NAMES_OF_OTHERS
    ]


def world(module: Module) -> list[str]:
    """Clock, chance and environment named in a room that gets them passed in."""
    if not module.name or module.room in rules.WORLDLY_ROOMS or module.path in rules.WORLDLY_MODULES:
        return []
    bound = aliases(module)
    found = set()
    for node in module.nodes:
        if isinstance(node, ast.Attribute | ast.Name):
            name = dotted(node, bound)
            if name and any(fnmatch.fnmatchcase(name, pattern) for pattern in rules.WORLD):
                found.add(f"{module.path}:{node.lineno}: `{name}` belongs to adapters, wiring or apps")
    return sorted(found)


def core_imports(module: Module) -> list[str]:
    """External imports of core that are not on its list."""
    if module.room != "core":
        return []
    allowed = (sys.stdlib_module_names - rules.CORE_STDLIB_BANNED) | rules.CORE_PACKAGES | {"answerable"}
    named = {(line, name.split(".")[0]) for name, line in imports(module)}
    return [
        f"{module.path}:{line}: core may not import `{name}`"
        for line, name in sorted(named)
        if name not in allowed
    ]


def room_imports(module: Module) -> list[str]:
    """Imports between rooms that the layers would let pass."""
    forbidden = rules.FORBIDDEN_ROOMS.get(module.room, frozenset())
    return sorted(
        {
            f"{module.path}:{line}: {module.room} may not import {name.split('.')[1]}"
            for name, line in imports(module)
            if name.startswith("answerable.") and name.split(".")[1] in forbidden
        }
    )


def makers(module: Module) -> list[str]:
    """Values of the walk made outside the only places that may."""
    faults = []
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        allowed = rules.ONLY_MAKERS.get(name)
        if allowed and not any(
            module.path == place or (place.endswith("/") and module.path.startswith(place))
            for place in allowed
        ):
            faults.append(f"{module.path}:{node.lineno}: only {', '.join(allowed)} may make a `{name}`")
    return faults


def takers(module: Module) -> list[str]:
    """Budgets, approvals and prepared objects taken, or given back, by anything but a commit and its end."""
    return [
        f"{module.path}:{node.lineno}: only a commit calls `{owner}.{node.func.attr}`: {rules.ONLY_TAKER}"
        for node in module.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        for owner in [_last_name(node.func.value)]
        if (owner, node.func.attr) in rules.TAKES and module.path != rules.ONLY_TAKER
    ]


def function_lines(node: FunctionNode) -> int:
    """Length of a function without decorators and docstring."""
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        text = node.body[0]
        length -= (text.end_lineno or text.lineno) - text.lineno + 1
    return length


def sizes(module: Module) -> list[str]:
    """Functions and modules over their limit, and exceptions that no longer say how long they are."""
    faults = []
    length = len(module.text.splitlines())
    listed = rules.LONG_MODULES.get(module.path)
    if length > rules.MODULE_LINES_MAX and length != listed:
        faults.append(f"{module.path}: {length} lines, at most {listed or rules.MODULE_LINES_MAX}")
    elif listed and length <= rules.MODULE_LINES_MAX:
        faults.append(f"{module.path}: take it off the list of long modules")
    for node in functions(module):
        length = function_lines(node)
        listed = rules.LONG_FUNCTIONS.get(f"{module.path}: {node.name}")
        if length > rules.FUNCTION_LINES_MAX and length != listed:
            limit = listed or rules.FUNCTION_LINES_MAX
            faults.append(f"{module.path}:{node.lineno}: `{node.name}` has {length} lines, at most {limit}")
        elif listed and length <= rules.FUNCTION_LINES_MAX:
            faults.append(f"{module.path}: take `{node.name}` off the list of long functions")
    return faults


def ports(module: Module) -> list[str]:
    """Ports whose docstrings promise nothing."""
    if module.room != "ports" or module.is_package:
        return []
    faults = []
    for node in module.tree.body:
        if not isinstance(node, ast.ClassDef) or "Protocol" not in {_last_name(b) for b in node.bases}:
            continue
        undocumented = [node.name] if not ast.get_docstring(node) else []
        for part in node.body:
            if (
                isinstance(part, FunctionNode)
                and not part.name.startswith("_")
                and not ast.get_docstring(part)
            ):
                undocumented.append(f"{node.name}.{part.name}")
        faults += [f"{module.path}:{node.lineno}: `{name}` promises nothing" for name in undocumented]
    return faults


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def leftovers(path: str, text: str) -> list[str]:
    """Notes to self without the number of an issue."""
    if not any(word in text for word in rules.LEFTOVER_WORDS):
        return []
    pattern = re.compile(rf"\b({'|'.join(rules.LEFTOVER_WORDS)})\b(?!\(#\d+\))")
    return [
        f"{path}:{number}: `{found[0]}` without an issue, as in `{found[0]}(#12)`"
        for number, line in enumerate(text.splitlines(), 1)
        if (found := pattern.search(line))
    ]


def places(path: str, text: str) -> list[str]:
    """Paths of one machine, and addresses of package registries."""
    if not any(one in text for one in (*rules.MACHINE_PATHS, *rules.REGISTRY_HOSTS)):
        return []
    paths = re.compile(rf"(?<![\w.)}}\]-])(?:{'|'.join(map(re.escape, rules.MACHINE_PATHS))})[\w.-]*")
    hosts = re.compile("|".join(map(re.escape, rules.REGISTRY_HOSTS)))
    return [
        f"{path}:{number}: `{found[0]}` is a path of one machine or a registry's address"
        for number, line in enumerate(text.splitlines(), 1)
        for found in [*paths.finditer(line), *hosts.finditer(line)]
        if f"{path}: {found[0]}" not in rules.PATHS_THAT_MAY_STAY
    ]
