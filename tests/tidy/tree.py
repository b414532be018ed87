"""The project's files, parsed once and when they are asked for, and a few questions the tidy tests ask of them."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "answerable"
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Module:
    """One Python file: path from the root, dotted name if it lies in the package, and text."""

    path: str
    name: str
    text: str

    @property
    def room(self) -> str:
        """Top-level room of the package, `` for the package itself and for files outside it."""
        return [*self.name.split("."), ""][1]

    @property
    def is_package(self) -> bool:
        return self.path.endswith("/__init__.py")

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, filename=self.path)

    @functools.cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Of the tree, each once, as `ast.walk` goes: a dozen rules look at all of them."""
        return tuple(ast.walk(self.tree))


def parsed(path: str, text: str) -> Module:
    name = ""
    if path.startswith("src/"):
        name = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return Module(path=path, name=name, text=text)


@functools.cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python file below the folders, in order; folders that are not there yet hold none."""
    return tuple(map(_read, sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))))


@functools.cache
def _read(path: Path) -> Module:
    return parsed(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))


@functools.cache
def texts() -> tuple[tuple[str, str], ...]:
    """Path and text of every file that is, or would be, in version control and is text."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        paths = [ROOT / name for name in done.stdout.split("\0") if name]
    else:  # An unpacked archive has no history: take all but hidden folders.
        paths = [path for path in ROOT.rglob("*") if not any(p.startswith(".") for p in path.parts)]
    found = []
    for path in sorted(set(paths)):
        try:
            found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    return tuple(found)


def functions(module: Module) -> Iterator[FunctionNode]:
    for node in module.nodes:
        if isinstance(node, FunctionNode):
            yield node


def imports(module: Module) -> Iterator[tuple[str, int]]:
    """Dotted names a module imports, wherever the statement stands, with the line.

    `from a import b` yields `a` and `a.b`: from the text alone one cannot tell whether b is a module.
    """
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def aliases(module: Module) -> dict[str, str]:
    """What the names that imports bind stand for, as dotted names."""
    bound: dict[str, str] = {}
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                bound[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return bound


def dotted(node: ast.expr, bound: dict[str, str]) -> str | None:
    """The dotted name an expression stands for, through the imports; None if it is not a plain name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in bound:
        return None
    return ".".join([bound[node.id], *reversed(parts)])
