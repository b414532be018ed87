"""`./dev house [ROOM | WORDS]`: the rooms of the code, what each is for, its size, and which rooms it imports.

Without a room: all of them, as the import contracts order them, so that a room imports what stands below it. With one,
such as `flows/walk`: its modules, what each is for, and which rooms import it. With other words, such as `stop rule`:
the rooms and modules that have all of them in their name or in what they are for. Imports for types alone and of
`errors`, which every room imports, are left out.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import re
import sys
import textwrap
import tomllib
from functools import cached_property

from imports import ROOT, Imports

PACKAGE = "answerable"
COLUMNS = 120
TOP = "(top level)"
EVERYWHERE = "errors"
DOCSTRING = re.compile(rb'\s*""".*?"""', re.DOTALL)
"""As each of our modules begins: all of it need not be parsed."""


class House:
    """The product's packages as they are now."""

    def __init__(self) -> None:
        self._imports = Imports()
        self._says: dict[str, str] = {}
        self._modules = {
            name: path for name, path in self._imports.modules.items() if name.partition(".")[0] == PACKAGE
        }

    @cached_property
    def rooms(self) -> list[str]:
        """Packages, such as `flows/walk`, top first."""
        found = [_path(name) for name, path in self._modules.items() if path.name == "__init__.py"]
        return [*sorted((one for one in found if one), key=self._place), TOP]

    def _place(self, room: str) -> tuple[tuple[int, str], ...]:
        parts = room.split("/")
        return tuple(
            (self._ladder(".".join([PACKAGE, *parts[:depth]])).get(part, 0), part)
            for depth, part in enumerate(parts)
        )

    def _ladder(self, container: str) -> dict[str, int]:
        return self._ladders.get(container, {})

    @cached_property
    def _ladders(self) -> dict[str, dict[str, int]]:
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        return {
            container: {
                name.strip("() "): place
                for place, layer in enumerate(contract["layers"])
                for name in layer.split("|")
            }
            for contract in settings["tool"]["importlinter"]["contracts"]
            for container in contract.get("containers", ())
            if contract["type"] == "layers"
        }

    def modules(self, room: str) -> list[str]:
        """Those that lie in the room itself."""
        whole = _package(room)
        return sorted(
            name
            for name, path in self._modules.items()
            if name.rpartition(".")[0] == whole and path.name != "__init__.py"
        )

    def says(self, module: str) -> str:
        """The first sentence of its docstring."""
        if module not in self._says:
            found = DOCSTRING.match(self._imports.read(module))
            text = ast.get_docstring(ast.parse(found[0])) or "" if found else ""
            self._says[module] = " ".join(text.partition("\n\n")[0].split())
        return self._says[module]

    def purpose(self, room: str) -> str:
        """The first sentence of its docstring."""
        if room == TOP:
            return "What several packages need and none of them owns."
        return re.split(r"(?<=[.]) ", self.says(_package(room)))[0]

    def lines(self, room: str) -> int:
        """Of its modules."""
        return sum(self._imports.read(one).count(b"\n") for one in self.modules(room))

    def room_of(self, module: str) -> str:
        """The innermost package that it lies in."""
        return (
            _path(module if self._modules[module].name == "__init__.py" else module.rpartition(".")[0]) or TOP
        )

    def imported(self, room: str) -> list[str]:
        """Rooms that hold what its modules import."""
        found = {
            self.room_of(owner)
            for module in self.modules(room)
            for name in self._imports.names(module)
            if (owner := self._owner(name))
        }
        return [one for one in self.rooms if one in found - {room, EVERYWHERE}]

    def _owner(self, name: str) -> str:
        """The module that has this name; empty for none of ours, and for a package of which nothing is named."""
        owner = name
        while owner and owner not in self._modules:
            owner = owner.rpartition(".")[0]
        is_package = owner in self._modules and self._modules[owner].name == "__init__.py"
        return "" if is_package and owner in (name, PACKAGE) else owner

    def about(self, words: list[str]) -> list[tuple[str, str]]:
        """Rooms and then modules, each with what it is for, that have all these words in one of both."""
        rooms = [(room, self.purpose(room)) for room in self.rooms]
        modules = [(_path(one), self.says(one)) for room in self.rooms for one in self.modules(room)]
        return [
            (place, says)
            for place, says in (*rooms, *modules)
            if all(word.lower() in f"{place.replace('_', ' ')} {says}".lower() for word in words)
        ]

    def importing(self, room: str) -> list[str]:
        """Rooms that import it."""
        return [one for one in self.rooms if room in self.imported(one)]


def _path(module: str) -> str:
    return "/".join(module.split(".")[1:])


def _package(room: str) -> str:
    return PACKAGE if room == TOP else ".".join([PACKAGE, *room.split("/")])


def told_all(house: House) -> str:
    """A line for each room, and one for what it imports."""
    width = max(map(len, house.rooms))
    told = [f"{'room':{width}} modules  lines  what it is for"]
    for room in house.rooms:
        count = len(house.modules(room))
        row = f"{room:{width}} {count or '':7} {house.lines(room) or '':6}  "
        first, *more = textwrap.wrap(house.purpose(room), COLUMNS - len(row)) or [""]
        told += [row + first, *(" " * len(row) + line for line in more)]
        if imported := house.imported(room):
            told += _wrapped(f"-> {', '.join(imported)}", f"{'':{width}} {'':15} ")
    told += ["", "`./dev house ROOM` lists a room's modules, `./dev house WORDS` what is about these words."]
    told.append("docs/explanation/follow-one-action.md says where a change goes.")
    return "\n".join(told)


def told_one(house: House, room: str) -> str:
    """Its modules, and the rooms on both sides."""
    told = [f"{room}: {house.purpose(room)}", ""]
    names = [(one.rpartition(".")[2], house.says(one)) for one in house.modules(room)]
    width = max((len(name) for name, _ in names), default=0)
    told += [f"  {name:{width}}  {says}" for name, says in names]
    inside = [one for one in house.rooms if one.startswith(f"{room}/")]
    told += [f"  {one}/  {house.purpose(one)}" for one in inside]
    told.append("")
    for word, rooms in (("imports", house.imported(room)), ("imported by", house.importing(room))):
        told += _wrapped(f"{word}: {', '.join(rooms) or 'no other room'}", "")
    return "\n".join(told)


def told_about(house: House, words: list[str]) -> str:
    """Rooms and modules that have these words, a paragraph each."""
    found = house.about(words)
    width = min(max((len(place) for place, _ in found), default=0), 60)
    return "\n".join(
        line for place, says in found for line in _wrapped(f"{place:{width}}  {says}", "", width + 2)
    )


def _wrapped(text: str, indent: str, more: int = 3) -> list[str]:
    return textwrap.wrap(
        text, COLUMNS, initial_indent=indent, subsequent_indent=indent + " " * more, break_on_hyphens=False
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev house", description=__doc__, allow_abbrev=False)
    parser.add_argument("words", nargs="*", metavar="ROOM | WORDS", help="such as flows/walk, or stop rule")
    words, house = parser.parse_args().words, House()
    if not words:
        print(told_all(house))
        return 0
    wanted = " ".join(words)
    room = wanted.strip("/").removeprefix("src/answerable/")
    if room in house.rooms:
        print(told_one(house, room))
        return 0
    if "/" not in wanted and (found := told_about(house, words)):
        print(found)
        return 0
    near = difflib.get_close_matches(room, house.rooms, n=3, cutoff=0.4)
    hint = f"; did you mean {', '.join(near)}" if near else ""
    print(f"dev: no room `{wanted}`, and nothing about these words{hint}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
