"""Finds the stable error codes in the sources, with the branch each belongs to and what it says.

A code is the `code` of a call to one of the five branches, or of a reason in a decision. Where that is a parameter of a
function that makes the error, alone or inside an f-string, the calls of that function in the module are looked at. The
codes of a kind of statement are those that it declares, where it is made, and those of its methods that are called.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from answerable.core.statement import Kind

BRANCHES = ("Malformed", "Unverified", "Refused", "Unavailable", "Broken")
DECISION = "Decision"
"""Codes of rules that stand in a decision beside the ids of policies; a refusal carries the first."""

_MAKERS = {
    **{branch: (branch, "code") for branch in BRANCHES},
    "Shortfall": (DECISION, "code"),
    "Reason": (DECISION, "source"),
}
_ASKED = {"check_audience": "audience", "check_age": "stale"}
"""Methods of a kind that not every kind is asked, with the errors that they raise."""
_CODE = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+")
_MESSAGE_CHARS_MAX = 160
_ANYTHING = "…"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCode:
    """modules: where it is raised, relative to the package. message: of the first of them."""

    code: str
    branch: str
    message: str
    modules: tuple[str, ...]


@dataclass(slots=True)
class _Found:
    message: str
    modules: set[str] = field(default_factory=set)


def error_codes(package: Path) -> list[ErrorCode]:
    """All codes below a package directory, sorted."""
    found: dict[tuple[str, str], _Found] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        kinds = _kinds(tree, ".".join(path.relative_to(package.parent).with_suffix("").parts))
        for branch, code, message in (*_of_kinds(tree, kinds), *_in_module(tree)):
            entry = found.setdefault((code, branch), _Found(message))
            entry.modules.add(name)
    return [
        ErrorCode(code=code, branch=branch, message=entry.message, modules=tuple(sorted(entry.modules)))
        for (code, branch), entry in sorted(found.items())
    ]


def _kinds(tree: ast.Module, module: str) -> dict[str, Kind[Any]]:
    """The kinds of statements that a module makes, by name; it is imported only where it makes one."""
    made = {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)
        if isinstance(node.target, ast.Name) and _name(node.value.func) == Kind.__name__
    }
    return {name: getattr(import_module(module), name) for name in made}


def _of_kinds(tree: ast.Module, kinds: dict[str, Kind[Any]]) -> Iterator[tuple[str, str, str]]:
    declared = {
        name: {fault: (branch, f"{kind.step}.{fault}", text) for fault, branch, text in kind.errors()}
        for name, kind in kinds.items()
    }
    for errors in declared.values():
        yield from (error for fault, error in errors.items() if fault not in _ASKED.values())
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if name in kinds:
                said = [_text(one, {}, {}) for one in call.args]
                if method in _ASKED:
                    yield declared[name][_ASKED[method]]
                elif method == "malformed":
                    yield "Malformed", f"{kinds[name].step}.malformed", _cut(said[0])
                elif method == "unverified":
                    yield "Unverified", f"{kinds[name].step}.{said[1]}", _cut(said[0])


def _in_module(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    constants: dict[str, object] = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, Function)]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    for call in calls:
        branch, member = _MAKERS.get(_name(call.func), ("", ""))
        code = next((keyword.value for keyword in call.keywords if keyword.arg == member), None)
        if code is None:
            continue
        inside = _around(call, functions)
        bindings: list[dict[str, ast.expr]] = [{}]
        if inside is not None and _names(code) & _parameters(inside).keys():
            bindings = [_bound(inside, outer) for outer in calls if _name(outer.func) == inside.name]
        for binding in bindings:
            text = _text(code, constants, binding)
            if _CODE.fullmatch(text):
                said = call.args[0] if call.args else _keyword(call, "text")
                message = _text(said, constants, binding) if said is not None else ""
                yield branch, text, _cut(message)


def _around(call: ast.Call, functions: list[Function]) -> Function | None:
    """The innermost function that it stands in."""
    around = [one for one in functions if one.lineno <= call.lineno <= (one.end_lineno or one.lineno)]
    return max(around, key=lambda one: one.lineno, default=None)


def _parameters(function: Function) -> dict[str, ast.expr | None]:
    """Names with defaults, in the order of positional arguments."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults += arguments.defaults
    named = {one.arg: default for one, default in zip(positional, defaults, strict=True)}
    named.update({one.arg: d for one, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)})
    return named


def _bound(function: Function, call: ast.Call) -> dict[str, ast.expr]:
    parameters = _parameters(function)
    names = list(parameters)
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    bound = {name: default for name, default in parameters.items() if default is not None}
    bound.update(zip(names, call.args, strict=False))
    bound.update({keyword.arg: keyword.value for keyword in call.keywords if keyword.arg})
    return bound


def _text(node: ast.expr, constants: dict[str, object], binding: dict[str, ast.expr]) -> str:
    """The text of an expression, with `…` for what is not known here."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if name in binding:
            return _text(binding[name], constants, {})
        case ast.Name(id=name) if isinstance(constants.get(name), str | int):
            return str(constants[name])
        case ast.JoinedStr(values=values):
            return "".join(_text(value, constants, binding) for value in values)
        case ast.FormattedValue(value=value):
            return _text(value, constants, binding)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, constants, binding) + _text(right, constants, binding)
        case _:
            return _ANYTHING


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _names(node: ast.expr) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _cut(message: str) -> str:
    one_line = " ".join(message.split())
    return one_line if len(one_line) <= _MESSAGE_CHARS_MAX else f"{one_line[:_MESSAGE_CHARS_MAX]}{_ANYTHING}"
