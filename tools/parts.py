"""What a module consists of: a surface, which whoever imports it depends on, and the bodies of its functions.

The surface is all but the bodies of functions that stand in the module or in a class of it: statements, classes,
decorators, defaults, annotations and docstrings, without comments and line numbers. A function is named as by
`__qualname__`; what is nested in it belongs to it; several of one name count as one.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from imports import Imports, named

Function = ast.FunctionDef | ast.AsyncFunctionDef
LINE_NUMBERS = frozenset(("__code__", "co_firstlineno", "co_lines", "f_lineno", "tb_lineno"))
"""What tells a program where code stands, which is in no part."""
OWN_TEXT = Path(__file__).read_bytes()


@dataclass(frozen=True)
class Parts:
    """names: modules, and names in modules, that it imports. functions: digests of bodies; empty for a class, whose
    body is surface. placed: those whose bodies name LINE_NUMBERS."""

    names: list[str]
    surface: str
    functions: dict[str, str]
    placed: list[str]


def parts_of(octets: bytes) -> Parts:
    """Of a module's text. Raises SyntaxError."""
    tree = ast.parse(octets)
    parts = Parts(sorted(set(named(tree))), "", {}, [])
    _take_bodies(tree, "", parts)
    return Parts(parts.names, _digest(tree), parts.functions, parts.placed)


def _take_bodies(node: ast.AST, inside: str, parts: Parts) -> None:
    """Out of what is below this node, which is changed."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            name, body = inside + child.name, ast.Module(child.body, [])
            parts.functions[name] = _digest(body, parts.functions.get(name, ""))
            if any(getattr(one, "attr", None) in LINE_NUMBERS for one in ast.walk(body)):
                parts.placed.append(name)
            yields = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in _own_nodes(child))
            said = ast.get_docstring(child, clean=False)
            child.body = [ast.Expr(ast.Constant(said)), ast.Expr(ast.Constant(yields))]
        elif isinstance(child, ast.ClassDef):
            parts.functions.setdefault(inside + child.name, "")
            _take_bodies(child, f"{inside}{child.name}.", parts)
        else:
            _take_bodies(child, inside, parts)


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """Those that run when it does."""
    left: list[ast.AST] = [*function.body]
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            left += ast.iter_child_nodes(node)


def _digest(tree: ast.AST, before: str = "") -> str:
    return sha256((before + ast.dump(tree)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


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
