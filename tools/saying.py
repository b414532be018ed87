"""Which symbols of the product count for whoever says some names: those, what these say, and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path

from closed import closed
from parts import KnownParts, Parts
from symbols import words

ENTRY_POINT = re.compile(r'"answerable\.[\w.:]+"')
"""What a distribution names of the product."""


class Saying:
    """The checkout as it is now. A set of names is a number with a bit for each; a name that no symbol has, has none.

    named_beside: a file that names symbols for all.
    """

    def __init__(self, known: KnownParts, named_beside: Path) -> None:
        self._known = known
        self._beside = ENTRY_POINT.findall(named_beside.read_text()) if named_beside.exists() else []
        self._of_text = cache(self._of_text_of)
        self._of_part = cache(self._of_part_of)
        self._digests = cache(self._digests_of)

    @cached_property
    def _parts(self) -> dict[str, Parts]:
        """By module of the product."""
        ours = (one for one in self._known.modules if one.partition(".")[0] == "answerable")
        return {one: self._known.parts(one) for one in ours}

    @cached_property
    def _bits(self) -> dict[str, int]:
        names = {name for parts in self._parts.values() for name in parts.symbols}
        return {name: 1 << at for at, name in enumerate(sorted(names))}

    @cached_property
    def _leads_to(self) -> dict[str, int]:
        """By name, all names that saying it leads to."""
        direct = dict.fromkeys(self._bits, frozenset[str]())
        for parts in self._parts.values():
            for name in parts.symbols:
                direct[name] |= direct.keys() & parts.says[name]
        return closed(direct, self._bits)

    @cached_property
    def _own(self) -> dict[str, int]:
        """By module, its symbols."""
        found = {one: sum(self._bits[name] for name in parts.symbols) for one, parts in self._parts.items()}
        return {one: names for one, names in found.items() if names}

    @cached_property
    def _of_rest(self) -> dict[str, int]:
        """By module, what its rest says."""
        found = {one: self._of(parts.says[""]) for one, parts in self._parts.items()}
        return {one: names for one, names in found.items() if names}

    def said(self, modules: Iterable[str], functions: Mapping[str, Iterable[str]]) -> int:
        """Names that count for who reads these modules and runs these functions."""
        found = self._of(word for text in self._beside for word in words(text))
        for one in modules:
            found |= self._of_rest.get(one, 0) if one in self._parts else self._of_text(one)
        for one, names in functions.items():
            for name in names:
                found |= self._of_part(one, name)
        return found

    def counted(self, modules: Iterable[str], names: int) -> str:
        """Digests of the symbols of these modules that have these names."""
        own = self._own
        there = [(one, names & own[one]) for one in modules if one in own]
        return " ".join(self._digests(one, some) for one, some in there if some)

    def _of(self, names: Iterable[str]) -> int:
        found = 0
        for name in names:
            found |= self._leads_to.get(name, 0)
        return found

    def _of_text_of(self, module: str) -> int:
        return self._of(set(words(self._known.read(module).decode())))

    def _of_part_of(self, module: str, name: str) -> int:
        """Of a function and of the classes that it is in."""
        says = self._parts[module].says if module in self._parts else {}
        return self._of((*says.get(f"{name}()", ()), *name.split(".")))

    def _digests_of(self, module: str, names: int) -> str:
        symbols = sorted(self._parts[module].symbols.items())
        return " ".join([module, *(f"{name}={told}" for name, told in symbols if self._bits[name] & names)])
