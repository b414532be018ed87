"""What a module consists of: a surface, which whoever imports it depends on, and functions.

A function is named as by `__qualname__`; what is nested in it belongs to it; several of one name count as one. The
`open` surface is all else: statements, classes with the names of their methods, decorated functions without bodies,
docstrings. No part has comments or line numbers; each has what its names were imported as, so that an import counts
for those that use it. Whoever looks at functions without calling them depends on the `whole` surface, which has their
names, parameters and docstrings, too.
"""

from __future__ import annotations

import ast
import builtins
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from imports import Imports, named

Function = ast.FunctionDef | ast.AsyncFunctionDef
LINE_NUMBERS = frozenset(("__code__", "co_firstlineno", "co_lines", "f_lineno", "tb_lineno"))
"""What tells a program where code stands, which is in no part."""
LOOKS = frozenset(
    ("__annotations__", "__defaults__", "__dict__", "__doc__", "__kwdefaults__", "__signature__")
)
LOOKERS = frozenset(("dir", "get_type_hints", "globals", "inspect", "iter_modules", "vars", "walk_packages"))
"""What looks at functions and modules."""
PLAIN = frozenset(
    "abstractmethod asynccontextmanager cached_property classmethod contextmanager final override property".split()
) | {"staticmethod"}
"""Decorators that do not look at the parameters of a method."""
NOTHING = ast.arguments([], [], kwonlyargs=[], kw_defaults=[], defaults=[])
"""As parameters."""
OWN_TEXT = Path(__file__).read_bytes()


@dataclass(frozen=True)
class Parts:
    """names: modules, and names in modules, that it imports. functions: digests; empty for a class, whose body is
    surface. placed: those that name LINE_NUMBERS. looking: those that look at functions."""

    names: list[str]
    whole: str
    open: str
    functions: dict[str, str]
    placed: list[str]
    looking: list[str]


def parts_of(octets: bytes) -> Parts:
    """Of a module's text. Raises SyntaxError."""
    tree = ast.parse(octets)
    names = sorted(set(named(tree)))
    bound = _taken_imports(tree)
    parts = Parts(names, "", "", {}, [], [])
    _take_functions(tree, "", parts, bound)
    once = {name for name, count in Counter(_bindings(tree.body)).items() if count == 1}
    whole = _digest(tree, bound)
    tree.body = [one for one in tree.body if not (isinstance(one, Function) and _is_open(one, once))]
    for each in ast.walk(tree):
        if isinstance(each, ast.ClassDef):
            for method in each.body:
                if isinstance(method, Function) and _is_plain(method):
                    method.args, method.returns, method.body = NOTHING, None, method.body[1:]
    return Parts(names, whole, _digest(tree, bound), parts.functions, parts.placed, parts.looking)


def _taken_imports(tree: ast.Module) -> dict[str, str]:
    """What is imported when a module is read, by the names that it gets there. A name with two meanings stays."""
    left, taken = list[ast.stmt](), list[ast.Import | ast.ImportFrom]()
    for one in tree.body:
        if isinstance(one, ast.Import | ast.ImportFrom) and getattr(one, "module", "") != "__future__":
            taken.append(one)
        elif isinstance(one, ast.If) and isinstance(one.test, ast.Name) and one.test.id == "TYPE_CHECKING":
            left += one.orelse
        else:
            left.append(one)
    twice = set(_bindings(left)) | vars(builtins).keys()
    bound: dict[str, str] = {}
    for one in taken:
        origin = "." * one.level + f"{one.module}." if isinstance(one, ast.ImportFrom) else ""
        for alias in one.names:
            name = alias.asname or (alias.name if origin else alias.name.partition(".")[0])
            bound[name] = f"{bound.get(name, '')} {origin}{alias.name}"
        if not twice.isdisjoint(_bindings([one])):
            left.append(one)
    tree.body = left
    return bound


def _bindings(statements: list[ast.stmt]) -> Iterator[str]:
    """Names that these statements give a meaning, each as often as they do."""
    left: list[ast.AST] = [*statements]
    while left:
        match left.pop():
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (one.asname or one.name.partition(".")[0] for one in names)
            case ast.Lambda():
                continue
            case node:
                left += ast.iter_child_nodes(node)


def _is_open(function: Function, once: set[str]) -> bool:
    """Whether it is for those alone that call it: it hides nothing, and nothing is done with it as it is read."""
    name = function.name
    return (
        not function.decorator_list
        and name in once
        and not name.startswith("__")
        and name not in vars(builtins)
    )


def _is_plain(method: Function) -> bool:
    known = all(isinstance(one, ast.Name) and one.id in PLAIN for one in method.decorator_list)
    return known and not method.name.startswith("__")


def _take_functions(node: ast.AST, inside: str, parts: Parts, bound: Mapping[str, str]) -> None:
    """Out of what is below this node, which is changed: of a function stay its docstring and whether it yields."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            name = inside + child.name
            parts.functions[name] = _digest(child, bound, parts.functions.get(name, ""))
            seen = [*ast.walk(child)]
            if any(getattr(one, "attr", None) in LINE_NUMBERS for one in seen):
                parts.placed.append(name)
            if any(_looks(one) for one in seen):
                parts.looking.append(name)
            yields = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in _own_nodes(child))
            said = ast.get_docstring(child, clean=False)
            child.body = [ast.Expr(ast.Constant(said)), ast.Expr(ast.Constant(yields))]
        elif isinstance(child, ast.ClassDef):
            parts.functions.setdefault(inside + child.name, "")
            _take_functions(child, f"{inside}{child.name}.", parts, bound)
        else:
            _take_functions(child, inside, parts, bound)


def _looks(node: ast.AST) -> bool:
    return getattr(node, "attr", None) in LOOKS | LOOKERS or getattr(node, "id", None) in LOOKERS


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """Those that run when it does."""
    left: list[ast.AST] = [*function.body]
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            left += ast.iter_child_nodes(node)


def _digest(tree: ast.AST, bound: Mapping[str, str], before: str = "") -> str:
    used = sorted({one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and one.id in bound})
    meant = " ".join(f"{name}={bound[name]}" for name in used)
    return sha256(f"{before}{ast.dump(tree)}{meant}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


class KnownParts(Imports):
    """The checkout as it is now. Modules that are as they were are not parsed again. file: where that is kept."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._before = json.loads(file.read_text()) if file.exists() else {}
        self._parts: dict[str, tuple[str, Parts]] = {}

    def names(self, module: str) -> frozenset[str]:
        return frozenset(self.parts(module).names)

    def octets_digest(self, module: str) -> str:
        """Of its text."""
        self.parts(module)
        return self._parts[module][0]

    def parts(self, module: str) -> Parts:
        """What it consists of."""
        if module not in self._parts:
            octets = self.read(module)
            digest = sha256(OWN_TEXT + octets).hexdigest()
            before = self._before.get(digest)
            self._parts[module] = (digest, Parts(**before) if before else parts_of(octets))
        return self._parts[module][1]

    def keep(self) -> None:
        """For the next run."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({digest: asdict(parts) for digest, parts in self._parts.values()}))
