"""Every type that something is read back as, found in the source, and built where nothing else was imported before.
What reads without any type, or by one of somebody else's packages, is none. Run as a program it prints the faults and
what it found as one JSON object."""

from __future__ import annotations

import ast
import gc
import importlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

READERS = ("decode", "convert", "Decoder")
OTHER_READERS = ("pickle.load", "marshal.load", "shelve.open", "cattrs.structure", "dacite.from_dict")
"""Calls that begin so build types in no way that could be looked at here."""
PARTS = {("answerable.core.statement", "_fits")}
"""Functions that read single fields of a type, which is built whole."""
LATE = ("TypeAdapter", "create_model")
"""What pydantic builds types by."""
PACKAGES = ("msgspec", "pydantic")
MODULES = ("msgspec", "msgspec.json", "msgspec.msgpack", "msgspec.toml", "msgspec.yaml")


Called = tuple[ast.Call, dict[str, tuple[str, int]]]
"""A call, and the parameters of the functions around it, as in `Site`."""


@dataclass(frozen=True)
class Site:
    """One place that reads something back. kind: the type as it is written there. names: parameters of the functions
    around it, by name, with the function and the position."""

    module: str
    line: int
    kind: ast.expr
    names: dict[str, tuple[str, int]]

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {ast.unparse(self.kind)}"


class Source:
    """A module. It is parsed when that is asked for, and once: most of them mention no reader."""

    def __init__(self, path: Path) -> None:
        self._text = path.read_text(encoding="utf-8")

    def mentions(self, *words: str) -> bool:
        """Whether any of these is written in it."""
        return any(word in self._text for word in words)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self._text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Of the tree, each once."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def readers(self) -> list[ast.Attribute]:
        """Where msgspec's are named."""
        if not self.mentions(*READERS):
            return []
        return [node for node in self.nodes if isinstance(node, ast.Attribute) and _is_reader(node)]

    @cached_property
    def _calls(self) -> dict[str, list[Called]]:
        found: dict[str, list[Called]] = {}
        for call, names in _calls(self.tree, {}):
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            found.setdefault(called, []).append((call, names))
        return found

    def calls_of(self, name: str) -> Iterable[Called]:
        """The calls of whatever has this name."""
        return self._calls.get(name, ()) if self.mentions(name) else ()


def sources(root: Path, package: str) -> dict[str, Source]:
    """Every module below a folder, by name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        inner = path.relative_to(root).with_suffix("").parts
        parts = (package, *(inner[:-1] if inner[-1] == "__init__" else inner))
        found[".".join(parts)] = Source(path)
    return found


def sites(module: str, source: Source) -> Iterator[Site]:
    """Those inside functions; what stands at the top of a module is built when that is imported."""
    if source.mentions(*PACKAGES) and source.readers:
        yield from _sites(module, source.tree, {}, inside=False)


def _sites(module: str, node: ast.AST, names: dict[str, tuple[str, int]], *, inside: bool) -> Iterator[Site]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*child.args.posonlyargs, *child.args.args]
            known = {one.arg: (child.name, place) for place, one in enumerate(arguments)}
            known |= {one.arg: (child.name, -1) for one in child.args.kwonlyargs}
            yield from _sites(module, child, names | known, inside=True)
            continue
        if inside and isinstance(child, ast.Call) and (kind := _kind_of(child)) is not None:
            yield Site(module, child.lineno, kind, names)
        yield from _sites(module, child, names, inside=inside)


def _kind_of(call: ast.Call) -> ast.expr | None:
    """The type that a call reads as; None for one that reads anything, or is no such call."""
    function = call.func
    if not isinstance(function, ast.Attribute) or not _is_reader(function):
        return None
    place = 0 if function.attr == "Decoder" else 1
    positional = call.args[place] if len(call.args) > place else None
    return next((one.value for one in call.keywords if one.arg == "type"), positional)


def kinds_of(site: Site, everything: dict[str, Source]) -> Iterator[tuple[str, Any]]:
    """What it can be, with where that is written: a name that callers give is followed to each of them.

    Raises NameError for what cannot be found out.
    """
    if isinstance(site.kind, ast.Name) and site.kind.id in site.names:
        function, place = site.names[site.kind.id]
        if (site.module, function) in PARTS:
            return
        # What is called `_so` is called in its own module alone.
        own = {site.module: everything[site.module]} if function.startswith("_") else everything
        given = list(_given(function, site.kind.id, place, own))
        if not given:
            raise NameError(f"nobody is seen to give it: {site}")
        for one in given:
            yield from kinds_of(one, everything)
        return
    if isinstance(site.kind, ast.Attribute) and ast.unparse(site.kind.value) == "self":
        given = list(_given_to_field(site.module, site.kind.attr, everything))
        if not given:
            raise NameError(f"nobody is seen to give it: {site}")
        for one in given:
            yield from kinds_of(one, everything)
        return
    scope = vars(importlib.import_module(site.module))
    yield str(site), eval(compile(ast.Expression(site.kind), site.module, "eval"), dict(scope))  # noqa: S307


def _given(function: str, name: str, place: int, everything: dict[str, Source]) -> Iterator[Site]:
    """What the calls of a function of that name give for that parameter. Of a method `self` is not counted."""
    for module, source in everything.items():
        for call, names in source.calls_of(function):
            at = place - isinstance(call.func, ast.Attribute)
            positional = call.args[at] if 0 <= at < len(call.args) else None
            kind = next((one.value for one in call.keywords if one.arg == name), positional)
            if kind is not None:
                yield Site(module, call.lineno, kind, names)


def _given_to_field(module: str, name: str, everything: dict[str, Source]) -> Iterator[Site]:
    """What is given by name for that field wherever something is made of the classes of a module that have it."""
    for made in everything[module].tree.body:
        if isinstance(made, ast.ClassDef):
            fields = [ast.unparse(one.target) for one in made.body if isinstance(one, ast.AnnAssign)]
            if name in fields:
                yield from _given(made.name, name, -1, everything)


def _calls(node: ast.AST, names: dict[str, tuple[str, int]]) -> Iterator[Called]:
    for child in ast.iter_child_nodes(node):
        known = names
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*child.args.posonlyargs, *child.args.args]
            known = names | {one.arg: (child.name, place) for place, one in enumerate(arguments)}
        if isinstance(child, ast.Call):
            yield child, known
        yield from _calls(child, known)


def faults(everything: dict[str, Source]) -> Iterator[str]:
    """Of each type that cannot be built, one line; of each module with such a place that cannot be imported, too."""
    for module, source in everything.items():
        if not source.mentions(*PACKAGES, *(one.partition(".")[0] for one in OTHER_READERS)):
            continue
        yield from _by_name(module, source)
        if not {*PACKAGES} & _packages(source):
            continue
        yield from _handed_on(module, source)
        try:
            importlib.import_module(module)
            for site in sites(module, source):
                for where, kind in kinds_of(site, everything):
                    try:
                        msgspec.json.Decoder(kind)
                    except Exception as fault:
                        yield f"{where}: {fault}"
        except Exception as fault:
            yield f"{module}: {type(fault).__name__} {fault}"


def _packages(source: Source) -> set[str]:
    """Whose names a module imports."""
    found = set()
    for node in source.nodes:
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def _by_name(module: str, source: Source) -> Iterator[str]:
    """A reader that is imported by its name, or is of another kind, would not be found."""
    others = tuple(one for one in OTHER_READERS if source.mentions(one.partition(".")[0]))
    for node in source.nodes:
        if others and isinstance(node, ast.Call) and ast.unparse(node.func).startswith(others):
            yield f"{module}:{node.lineno} reads by {ast.unparse(node.func)}: msgspec's types are built here"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("msgspec"):
            names = {one.name for one in node.names} & {*READERS, "json", "msgpack", "toml", "yaml"}
            if names:
                yield f"{module}:{node.lineno} imports {', '.join(sorted(names))} by name: write msgspec.…"


def _is_reader(node: ast.Attribute) -> bool:
    return node.attr in READERS and ast.unparse(node.value) in MODULES


def _handed_on(module: str, source: Source) -> Iterator[str]:
    """A reader that is kept under another name, or handed to somebody, would not be found; nor would a type that
    pydantic builds when a function is called."""
    if source.readers:
        nodes = source.nodes
        known = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        # As in `Decoder[T]`, which is an annotation.
        known |= {id(node.value) for node in nodes if isinstance(node, ast.Subscript)}
        known |= {
            id(one)
            for node in nodes
            if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None
            for one in ast.walk(node.annotation)
        }
        for reader in source.readers:
            if id(reader) not in known:
                yield f"{module}:{reader.lineno} hands {ast.unparse(reader)} on: call it where it stands"
    if source.mentions(*LATE):
        for node in source.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for one in ast.walk(node):
                    if isinstance(one, ast.Call) and ast.unparse(one.func).rpartition(".")[2] in LATE:
                        yield f"{module}:{one.lineno} makes a TypeAdapter late: make it where the module begins"


def main() -> None:
    root, package = Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(root.parent))
    # What is parsed lives as long as this process: looking for garbage among it takes a quarter of its time.
    gc.disable()
    everything = sources(root, package)
    found = list(faults(everything))
    kinds = {ast.unparse(one.kind) for name, source in everything.items() for one in sites(name, source)}
    print(json.dumps({"faults": found, "kinds": sorted(kinds)}))


if __name__ == "__main__":
    main()
