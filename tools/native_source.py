"""The source of the native build: that of the pure one, with what mypyc cannot compile as it is put another way.

The compiler drops the keywords of a class (`frozen=True`) and the `from` of a `raise`. So each `msgspec.Struct`,
dataclass and named tuple moves, as it stands, to a module beside its own that stays Python, with the functions and
constants of the module that it uses; the module imports them from there, so that there is one of each. `raise A from B`
sets the cause by a call. Nothing else changes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

SUFFIX = "_kept_in_python"
# As `raise error from cause` does it; of a class, an instance is raised.
_CAUSED = """

def _caused_by(error: BaseException, cause: BaseException | None) -> BaseException:
    error.__cause__ = cause
    return error
"""
_PLAIN_BASES = ("msgspec.Struct", "Struct", "NamedTuple", "typing.NamedTuple")
_Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_IMPORTS = ast.Import | ast.ImportFrom


class NotNeutral(Exception):
    """A module that cannot be divided as it is; says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """What is compiled of a module, and what stays Python; the latter is empty if all of it is compiled."""

    compiled: str
    kept: str
    names: tuple[str, ...]


def divided(text: str, module: str, structs: frozenset[str] = frozenset()) -> Divided:
    """module: its dotted name. structs: bases that other modules define.

    Raises NotNeutral where what is to move uses what another function assigns anew.
    """
    tree = ast.parse(text)
    top = {name: node for node in tree.body for name in _names_of(node)}
    moving = _moving(tree, top, structs)
    for node in ast.walk(tree):
        if isinstance(node, ast.Global) and moving & set(node.names):
            raise NotNeutral(f"{module}: {sorted(moving & set(node.names))} are assigned anew")
    nodes = [node for node in tree.body if moving & set(_names_of(node))]
    kept = f"{module}{SUFFIX}"
    edits = [(*_extent(node), "") for node in nodes]
    edits += _raises(tree, nodes)
    after = max(_extent(node)[1] for node in tree.body if _is_import(node))
    added = (
        f"\nfrom {kept} import {', '.join(f'{name} as {name}' for name in sorted(moving))}\n"
        if moving
        else ""
    )
    if any(piece for *_, piece in edits):
        added += _CAUSED
    edits.append((after, after, added))
    return Divided(
        compiled=_edited(text, edits),
        kept=_kept_text(text, tree, nodes, module, frozenset(top) - moving) if moving else "",
        names=tuple(sorted(moving)),
    )


def structs_in(text: str, known: frozenset[str] = frozenset()) -> frozenset[str]:
    """Names of the classes that stay Python since they are structs, dataclasses or named tuples."""
    found: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and _stays(node, known | found):
            found.add(node.name)
    return frozenset(found)


def _moving(tree: ast.Module, top: dict[str, ast.stmt], structs: frozenset[str]) -> set[str]:
    """Names that move: the classes, and what of the module they use when they run, and so on."""
    moving = set(structs_in(ast.unparse(tree), structs))
    waiting = list(moving)
    while waiting:
        node = top[waiting.pop()]
        for name in set(_used(node)) & set(top) - moving:
            moving.add(name)
            waiting.append(name)
    return moving


def _stays(node: ast.ClassDef, structs: frozenset[str] | set[str]) -> bool:
    bases = {ast.unparse(base).partition("[")[0] for base in node.bases}
    decorators = {ast.unparse(one).partition("(")[0] for one in node.decorator_list}
    return bool(bases & {*_PLAIN_BASES, *structs}) or bool(
        decorators & {"dataclass", "dataclasses.dataclass"}
    )


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, _Named):
        return [node.name]
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]


def _used(node: ast.AST) -> Iterator[str]:
    """Names that are looked up when it runs: those in annotations are not, as annotations are never evaluated."""
    if isinstance(node, ast.Name):
        yield node.id
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _used(child)


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, _IMPORTS) or (
        isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )


def _kept_text(
    text: str, tree: ast.Module, nodes: list[ast.stmt], module: str, others: frozenset[str]
) -> str:
    lines = text.encode().splitlines(keepends=True)
    parts = [_piece(lines, node) for node in tree.body if _is_import(node)]
    seen = {one.id for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name)}
    types = sorted(seen & others)
    if types:
        parts.append("from typing import TYPE_CHECKING\nif TYPE_CHECKING:")
        parts.append(f"    from {module} import {', '.join(types)}")
    return "\n".join(
        [f'"""Of {module}, what stays Python."""', *parts, *(_piece(lines, node) for node in nodes), ""]
    )


def _raises(tree: ast.Module, apart: list[ast.stmt]) -> list[tuple[tuple[int, int], tuple[int, int], str]]:
    edits = []
    moved = {id(one) for node in apart for one in ast.walk(node)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Raise)
            and node.exc is not None
            and node.cause is not None
            and id(node) not in moved
        ):
            again = f"raise _caused_by({ast.unparse(node.exc)}, {ast.unparse(node.cause)})"
            edits.append((*_extent(node), again))
    return edits


def _extent(node: ast.stmt) -> tuple[tuple[int, int], tuple[int, int]]:
    """Places of its first octet, with its decorators, and past its last: line from 0, octet in the line."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    column = node.col_offset
    return (first - 1, column), ((node.end_lineno or first) - 1, node.end_col_offset or 0)


def _piece(lines: list[bytes], node: ast.stmt) -> str:
    (first, start), (last, end) = _extent(node)
    within = [*lines[first:last], lines[last][:end]]
    within[0] = within[0][start:]
    return b"".join(within).decode()


def _edited(text: str, edits: list[tuple[tuple[int, int], tuple[int, int], str]]) -> str:
    octets = text.encode()
    starts = [0]
    for line in octets.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for (first, start), (last, end), piece in sorted(edits, reverse=True):
        octets = octets[: starts[first] + start] + piece.encode() + octets[starts[last] + end :]
    return octets.decode()


def write(modules: list[str], source: Path) -> dict[str, tuple[str, ...]]:
    """Divide the modules, paths under `source`, in place. Return the names that stay Python, by module."""
    texts = {name: (source / name).read_text(encoding="utf-8") for name in modules}
    structs: frozenset[str] = frozenset()
    while (
        found := frozenset(chain.from_iterable(structs_in(text, structs) for text in texts.values()))
    ) != structs:
        structs = found
    told = {}
    for name, text in texts.items():
        result = divided(text, name.removesuffix(".py").replace("/", "."), structs)
        (source / name).write_text(result.compiled, encoding="utf-8")
        if result.kept:
            (source / f"{name.removesuffix('.py')}{SUFFIX}.py").write_text(result.kept, encoding="utf-8")
        told[name] = result.names
    return told
