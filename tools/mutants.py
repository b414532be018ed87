"""Small changes to a module, one at a time, each of which a test should notice. Their names outlive moved lines.

Changed are: comparisons (to their neighbours and their opposites), arithmetic and bit operators, `and` and `or`, one
operand of three or more, `not`, the sign, the test of an `if`, `while` or conditional expression, what is returned (to
None), what is raised (to nothing), a call as a statement (to nothing), and constants: numbers by one, truth values, and
texts and octets by a `?` at the end.

Left out because no test need notice: types, decorators, docstrings, `__all__`, formatted texts, what an error says,
names of encodings (Python finds the same under the changed one), `frozen`, `slots`, `kw_only` and `gc` of a class.
Bounds alone (numbers given to a name that says MAX, MIN, SECONDS, MINUTES, DAYS, BYTES or CHARS) and wordings (texts
of several words, and all that is logged) are told as such: `tools/mutate.py` takes them in `core/tlog` alone.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
_SPOKEN = frozenset({"what", "frozen", "slots", "kw_only", "gc"})
"""Arguments that end up in messages, whose wording is not stable, and those that guard against our own mistakes."""
_BOUND = re.compile(r"[A-Z_]*(MAX|MIN|SECONDS|MINUTES|DAYS|BYTES|CHARS)[A-Z_]*")
_WORDING = re.compile(r"\w[,:;.]? \w")
_LOGS = frozenset({"_log", "log", "logger", "logging"})
_TYPING = frozenset({"cast", "TypeVar", "NewType", "ParamSpec"})
_NEVER_RUN = frozenset({"TYPE_CHECKING", "__name__ == '__main__'"})
_ENCODINGS = frozenset({"utf-8", "ascii", "latin-1"})
Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True, slots=True)
class Mutant:
    """name: function, what stands there, what would stand there, and which one of equals.

    place, way: which node of the module in the order of a walk, and which of the changes to it. kind: "bound",
    "wording" or nothing.
    """

    name: str
    line: int
    place: int
    way: int
    kind: str = ""


def mutants(source: str) -> list[Mutant]:
    """All of a module."""
    tree = ast.parse(source)
    functions = _functions(tree)
    left_out, kinds = _left_out(tree), _kinds(tree)
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for place, node in enumerate(ast.walk(tree)):
        if id(node) in left_out:
            continue
        before = _shown(node)
        for way, changed in enumerate(_changes(node)):
            name = f"{functions.get(id(node), 'module')}: {before} -> {_shown(changed)}"
            seen[name] += 1
            number = f" #{seen[name]}" if seen[name] > 1 else ""
            found.append(
                Mutant(f"{name}{number}", getattr(node, "lineno", 0), place, way, kinds.get(id(node), ""))
            )
    return sorted(found, key=lambda one: (one.line, one.name))


def mutated(source: str, mutant: Mutant) -> str:
    """The module with this change."""
    tree = ast.parse(source)
    node = next(one for place, one in enumerate(ast.walk(tree)) if place == mutant.place)
    changed = next(one for way, one in enumerate(_changes(node)) if way == mutant.way)
    made = _Replaced(node, changed).visit(tree)
    return ast.unparse(ast.fix_missing_locations(made))


class _Replaced(ast.NodeTransformer):
    def __init__(self, node: ast.AST, changed: ast.AST) -> None:
        self._node, self._changed = node, changed

    def visit(self, node: ast.AST) -> ast.AST:
        """One node becomes another; all others stay."""
        return self._changed if node is self._node else super().generic_visit(node)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                yield _with(node, ops=[*node.ops[:at], other(), *node.ops[at + 1 :]])
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _OPERATORS:
        yield _with(node, op=_OPERATORS[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        if len(node.values) > 2:
            for at in range(len(node.values)):
                yield _with(node, values=node.values[:at] + node.values[at + 1 :])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(node.test, ast.Compare):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and _is_call(node.value)):
        yield ast.Pass()
    elif isinstance(node, ast.Constant):
        yield from _constants(node.value)


def _constants(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        if value > 0:
            yield ast.Constant(value - 1)
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"?" if value else b"?")
    elif isinstance(value, str) and value not in _ENCODINGS:
        yield ast.Constant(value + "?" if value else "?")


def _with(node: Node, **changed: object) -> Node:
    fields = {name: getattr(node, name, None) for name in node._fields}
    return type(node)(**{**fields, **changed})


def _functions(tree: ast.Module) -> dict[int, str]:
    """Of every node in a function, its name with those of the classes around it."""
    found: dict[int, str] = {}

    def walk(node: ast.AST, names: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = (*names, child.name)
            if inner:
                found[id(child)] = ".".join(inner)
            walk(child, inner)

    walk(tree, ())
    return found


def _left_out(tree: ast.Module) -> set[int]:
    """What no test can or need notice: types, decorators, docstrings, wordings."""
    parts: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            parts.append(node.annotation)
        elif isinstance(node, ast.AnnAssign):
            parts.append(node.annotation)
            if isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias":
                parts.append(node.value)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts += [node.returns, *node.decorator_list]
        elif isinstance(node, ast.ClassDef):
            parts += node.decorator_list
        elif (
            isinstance(node, ast.JoinedStr)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "__slots__"))
            or (isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal")
            or (isinstance(node, ast.If) and ast.unparse(node.test) in _NEVER_RUN)
        ):
            parts.append(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _TYPING:
            parts += [*node.args[:1], *node.keywords]
        elif isinstance(node, ast.keyword) and node.arg in _SPOKEN:
            parts.append(node.value)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            parts += node.exc.args
    return {id(inner) for part in parts if part is not None for inner in ast.walk(part)}


def _kinds(tree: ast.Module) -> dict[int, str]:
    """Of nodes whose change says little: why."""
    found: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and _BOUND.fullmatch(target.id):
                found.update(dict.fromkeys(map(id, ast.walk(node.value)), "bound"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _WORDING.search(node.value):
            found[id(node)] = "wording"
        elif isinstance(node, ast.Expr) and _is_call(node.value) and _is_log(node.value):
            found.update(dict.fromkeys(map(id, ast.walk(node)), "wording"))
    return found


def _is_log(node: ast.expr) -> bool:
    return ast.unparse(node).removeprefix("await ").partition(".")[0] in _LOGS


def _is_call(node: ast.expr) -> bool:
    """With what waits for one."""
    return isinstance(node.value if isinstance(node, ast.Await) else node, ast.Call)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _shown(node: ast.AST) -> str:
    """Its first line; of a constant alone what it is."""
    return ast.unparse(node).split("\n")[0].strip()
