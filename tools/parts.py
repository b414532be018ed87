"""What a module consists of: symbols, functions, and the rest of its surface.

A function is named as by `__qualname__`; what is nested in it belongs to it; several of one name count as one. A
symbol (`symbols.py`) is a constant, a class with the names of its methods, or a function without its body; a name of
`__all__` that is imported is one, too. What else is done when a module is read is the `rest`, for all that import it.
No part has comments or line numbers; each has what its names were imported as, so that an import counts for those that
use it. Whoever looks at functions without calling them depends on the `whole` surface, which has the parameters and
docstrings of methods, too, and what follows a constant to explain it.
"""

from __future__ import annotations

import ast
import builtins
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from closed import closed
from imports import Imports, named
from symbols import Function, said, symbol, words

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
ASKED = "__getattr__"
"""What a module is asked for a name that it does not have."""
OWN_TEXT = b"".join(
    Path(__file__).with_name(f"{one}.py").read_bytes() for one in ("imports", "parts", "symbols")
)


@dataclass(frozen=True)
class Parts:
    """names: modules, and names in modules, that it imports. later: without those that it imports when it is asked for
    a name that it does not have, if it does; None otherwise. symbols, functions: digests; that of a class that is in
    another part is empty among functions. says: what is said by each symbol, by the body of each function, named
    with `()`, and by the rest, whose name is empty. placed: functions that name LINE_NUMBERS. looking: those that look
    at functions."""

    names: list[str]
    later: list[str] | None
    whole: str
    rest: str
    symbols: dict[str, str]
    functions: dict[str, str]
    says: dict[str, list[str]]
    placed: list[str]
    looking: list[str]


def parts_of(octets: bytes) -> Parts:
    """Of a module's text. Raises SyntaxError."""
    tree = ast.parse(octets)
    names, at_once = set(named(tree)), set(named(tree, texts=False))
    bound = _taken_imports(tree)
    parts = Parts(sorted(names), None, "", "", {}, {}, {}, [], [])
    _take_functions(tree, "", parts, bound)
    later = sorted(at_once) if ASKED in parts.functions else None
    whole = _digest(tree, bound)
    _strip_methods(tree)
    tree.body = _take_symbols(tree, parts, bound)
    parts.says[""] = said(tree, bound)
    return replace(parts, later=later, whole=whole, rest=_digest(tree, bound) if tree.body else "")


def _strip_methods(tree: ast.Module) -> None:
    for each in ast.walk(tree):
        if isinstance(each, ast.ClassDef):
            for method in each.body:
                if isinstance(method, Function) and _is_plain(method):
                    method.args, method.returns, method.body = NOTHING, None, method.body[1:]


def _take_symbols(tree: ast.Module, parts: Parts, bound: Mapping[str, str]) -> list[ast.stmt]:
    """What is left."""
    once = frozenset(name for name, count in Counter(_bindings(tree.body)).items() if count == 1)
    left = list[ast.stmt]()
    for one in tree.body:
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
            continue
        name = symbol(one, once)
        if not name:
            left.append(one)
        else:
            parts.symbols[name] = _digest(one, bound)
            parts.says[name] = said(one, bound)
            if name == "__all__":
                for handed in said(one, {}):
                    if handed in bound:
                        parts.symbols[handed] = bound[handed]
                        parts.says[handed] = words(bound[handed])
    return left


def _taken_imports(tree: ast.Module) -> dict[str, str]:
    """What is imported when a module is read, by the names that it gets there. A name with two meanings stays. What is
    asked of Python itself, which counts for all of the module, has no name."""
    left, taken = list[ast.stmt](), list[ast.Import | ast.ImportFrom]()
    bound = {"": ""}
    for one in tree.body:
        if isinstance(one, ast.ImportFrom) and one.module == "__future__":
            bound[""] += ast.unparse(one)
        elif isinstance(one, ast.Import | ast.ImportFrom):
            taken.append(one)
        elif isinstance(one, ast.If) and isinstance(one.test, ast.Name) and one.test.id == "TYPE_CHECKING":
            left += one.orelse
        else:
            left.append(one)
    twice = set(_bindings(left)) | vars(builtins).keys()
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


def _is_plain(method: Function) -> bool:
    known = all(isinstance(one, ast.Name) and one.id in PLAIN for one in method.decorator_list)
    return known and not method.name.startswith("__")


def _take_functions(node: ast.AST, inside: str, parts: Parts, bound: Mapping[str, str]) -> None:
    """Out of what is below this node, which is changed: of a function stay its docstring and whether it yields."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            name = inside + child.name
            parts.functions[name] = _digest(child, bound, parts.functions.get(name, ""))
            parts.says[f"{name}()"] = sorted({*parts.says.get(f"{name}()", ()), *said(child, bound)})
            seen = [*ast.walk(child)]
            if any(getattr(one, "attr", None) in LINE_NUMBERS for one in seen):
                parts.placed.append(name)
            if any(_looks(one) for one in seen):
                parts.looking.append(name)
            yields = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in _own_nodes(child))
            docstring = ast.get_docstring(child, clean=False)
            child.body = [ast.Expr(ast.Constant(docstring)), ast.Expr(ast.Constant(yields))]
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
    meant = " ".join(f"{name}={bound[name]}" for name in ("", *used))
    return sha256(f"{before}{ast.dump(tree)}{meant}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


class KnownParts(Imports):
    """The checkout as it is now. Modules that are as they were are not parsed again. file: where that is kept."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._before = json.loads(file.read_text()) if file.exists() else {}
        self._parts: dict[str, tuple[str, Parts]] = {}
        self._closed: dict[frozenset[str], dict[str, int]] = {}
        self._sets: dict[int, frozenset[str]] = {}

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

    @cached_property
    def asked(self) -> dict[str, list[str]]:
        """By module of the product that imports others when it is asked for a name, those that it imports anyway."""
        found = {one: self.parts(one).later for one in self._ours}
        return {one: self.modules_of({*names, one}, one) for one, names in found.items() if names is not None}

    def needed(self, module: str, idle: frozenset[str] = frozenset()) -> frozenset[str]:
        """All that is read when this one is. idle: modules of the product that nobody asks for a name."""
        found, left, ours = {module}, [module], 0
        leads = self._leads(idle)
        while left:
            one = left.pop()
            if one in leads:
                ours |= leads[one]
                continue
            left += (others := set(self.imported(one)) - found)
            found |= others
        return frozenset(found | self._of_bits(ours))

    @cached_property
    def _ours(self) -> list[str]:
        return [one for one in self.modules if one.partition(".")[0] == "answerable"]

    def _leads(self, idle: frozenset[str]) -> dict[str, int]:
        """By module of the product, those that are read when it is."""
        if idle not in self._closed:
            direct = {one: self.asked[one] if one in idle else self.imported(one) for one in self._ours}
            bits = {one: 1 << at for at, one in enumerate(self._ours)}
            ours = {one: [other for other in others if other in bits] for one, others in direct.items()}
            self._closed[idle] = closed(ours, bits)
        return self._closed[idle]

    def _of_bits(self, ours: int) -> frozenset[str]:
        if ours not in self._sets:
            self._sets[ours] = frozenset(one for at, one in enumerate(self._ours) if ours >> at & 1)
        return self._sets[ours]

    def keep(self) -> None:
        """For the next run."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({digest: asdict(parts) for digest, parts in self._parts.values()}))
