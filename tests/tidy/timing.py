"""Tests that wait without looking, or say how long something took: both tell of the machine, and not of the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tidy import rules
from tests.tidy.tree import FunctionNode, Module, aliases, dotted, functions


def timed_assertions(module: Module) -> list[str]:
    """Assertions that compare how far two readings of a clock are apart."""
    bound = aliases(module)
    found = set()
    calls = (one for one in module.nodes if isinstance(one, ast.Call))
    if not any(dotted(one.func, bound) in rules.CLOCKS for one in calls):
        return []
    for function in functions(module):
        readings, spans = _times(function, bound)
        for node in ast.walk(function):
            if isinstance(node, ast.Assert) and any(
                _is_span(part, readings, spans, bound)
                for compared in ast.walk(node.test)
                if isinstance(compared, ast.Compare)
                for part in ast.walk(compared)
            ):
                found.add(
                    f"{module.path}:{node.lineno}: asserts how long something took: assert what came of it"
                )
    return sorted(found)


def _times(function: FunctionNode, bound: dict[str, str]) -> tuple[set[str], set[str]]:
    """Names of clock readings, and of spans between two, in the order in which they are made."""
    readings: set[str] = set()
    spans: set[str] = set()
    for name, value in _assigned(function):
        if any(_is_span(part, readings, spans, bound) for part in ast.walk(value)):
            spans.add(name)
        elif _reads(value, readings, bound):
            readings.add(name)
    return readings, spans


def _assigned(function: FunctionNode) -> Iterator[tuple[str, ast.expr]]:
    """Names with their values, also of several at once and of lists that are appended to."""
    for node in sorted(ast.walk(function), key=lambda one: getattr(one, "lineno", 0)):
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(names)], value=ast.Tuple(values)):
                pairs = zip(names, values, strict=False)
                yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))
            case ast.Call(func=ast.Attribute(value=ast.Name(name), attr="append"), args=[value]):
                yield name, value


def _is_span(node: ast.AST, readings: set[str], spans: set[str], bound: dict[str, str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in spans
    match node:
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _reads(left, readings, bound) and not isinstance(right, ast.Constant)
    return False


def _reads(node: ast.AST, readings: set[str], bound: dict[str, str]) -> bool:
    """Whether it is a reading of a clock, or reckoned from one."""
    match node:
        case ast.Name(name):
            return name in readings
        case ast.BinOp(left=left, right=right):
            return _reads(left, readings, bound) or _reads(right, readings, bound)
        case ast.Call(func=ast.Name("int" | "float" | "round" | "max" | "min"), args=given):
            return any(_reads(one, readings, bound) for one in given)
        case ast.Call(func=called):
            return dotted(called, bound) in rules.CLOCKS
    return False


def bare_sleeps(module: Module) -> list[str]:
    """Sleeps of a file that look for nothing, where it has more than are named with a reason."""
    found = sleeps(module)
    named, _ = rules.SLEEPS_FOR_A_REASON.get(module.path, (0, ""))
    return found if len(found) > named else []


def sleeps(module: Module) -> list[str]:
    """Those that are longer than a nap, and not between two looks."""
    bound = aliases(module)
    found: list[str] = []
    calls = (one for one in module.nodes if isinstance(one, ast.Call))
    if not any(dotted(one.func, bound) in rules.SLEEPS for one in calls):
        return found
    for node, is_look in _calls(module.tree, False):
        if dotted(node.func, bound) in rules.SLEEPS and node.args:
            given = node.args[0]
            most = rules.LOOK_SECONDS_MAX if is_look else rules.NAP_SECONDS_MAX
            if not (
                isinstance(given, ast.Constant)
                and isinstance(given.value, int | float)
                and given.value <= most
            ):
                found.append(f"{module.path}:{node.lineno}: sleeps: wait for what happens meanwhile")
    return found


def _calls(node: ast.AST, is_look: bool) -> Iterator[tuple[ast.Call, bool]]:
    """Every call, and whether it is in a loop of its function."""
    for child in ast.iter_child_nodes(node):
        in_loop = is_look or isinstance(child, ast.While | ast.For | ast.AsyncFor)
        if isinstance(child, ast.Call):
            yield child, in_loop
        yield from _calls(child, in_loop and not isinstance(child, FunctionNode | ast.Lambda))
