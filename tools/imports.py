"""What each Python module of the checkout imports from it, and so what a test file reaches."""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Collection, Iterator
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".dev/cache/imports.json"
ROOTS = {"answerable": ROOT / "src", "tests": ROOT, "tools": ROOT}


class Imports:
    """The checkout as it is now."""

    def __init__(self) -> None:
        self.modules = {
            ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
            for name, root in ROOTS.items()
            for path in (root / name).rglob("*.py")
        }
        self._octets: dict[str, bytes] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._edges: dict[str, list[str]] = {}

    def read(self, module: str) -> bytes:
        """Its text."""
        if module not in self._octets:
            self._octets[module] = self.modules[module].read_bytes()
        return self._octets[module]

    def names(self, module: str) -> frozenset[str]:
        """What this module imports or names in a text: modules, and names in modules."""
        if module not in self._names:
            self._names[module] = _names(self.read(module))
        return self._names[module]

    def imported(self, module: str) -> list[str]:
        """Modules of ours that this one imports, with the packages that they are in."""
        if module not in self._edges:
            self._edges[module] = self.modules_of({*self.names(module), module}, module)
        return self._edges[module]

    def modules_of(self, names: Collection[str], module: str) -> list[str]:
        """Modules of ours that this one imports where it names these."""
        whole = {part for name in names for part in _prefixes(name)}
        whole |= {f"tools.{name}" for name in names}  # which tests import by their own names
        return sorted(whole & self.modules.keys() - {module})

    def reached(self, module: str) -> dict[str, int]:
        """All that is read when this one is, each with how many imports away it is."""
        found, left = {module: 0}, [module]
        for one in left:
            for other in self.imported(one):
                if other not in found:
                    found[other] = found[one] + 1
                    left.append(other)
        return found


class KeptImports(Imports):
    """The same, without parsing modules that are as they were when somebody last asked."""

    def names(self, module: str) -> frozenset[str]:
        return self._by_all[module]

    @cached_property
    def _by_all(self) -> dict[str, frozenset[str]]:
        known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        made_of = sys.version.encode() + Path(__file__).read_bytes()
        found, now = dict[str, frozenset[str]](), dict[str, list[str]]()
        for module in self.modules:
            digest = sha256(made_of + self.read(module)).hexdigest()
            now[digest] = known[digest] if digest in known else sorted(_names(self.read(module)))
            found[module] = frozenset(now[digest])
        if now.keys() - known.keys():
            KEPT.parent.mkdir(parents=True, exist_ok=True)
            written = KEPT.with_suffix(f".{os.getpid()}")
            written.write_text(json.dumps(now))
            written.replace(KEPT)
        return found


@cache
def _names(octets: bytes) -> frozenset[str]:
    """Whoever asks in this process, a module is parsed once."""
    return frozenset(named(ast.parse(octets)))


def _prefixes(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def named(tree: ast.AST, *, texts: bool = True) -> Iterator[str]:
    """What is imported when this runs, and modules that a text names."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        match node:
            case ast.Name() | ast.expr_context():
                continue
            case ast.Constant(value=text):
                if texts and isinstance(text, str) and text.startswith(("answerable.", "tests.")):
                    yield text.replace(":", ".")
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
                left += otherwise
            case ast.Import(names=names):
                yield from (one.name for one in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{one.name}" for one in names)
            case _:
                left += ast.iter_child_nodes(node)
