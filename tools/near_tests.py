"""Which test files are likeliest to notice a change to a module: those that reach it, nearest and quickest first."""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property

from batches import SECONDS_FILE
from imports import ROOT, KeptImports
from mutants import Mutant

NEVER = ("tests/tidy/", "tests/docs/", "tests/browser/")
"""Tests of how the code is written, of documents, and of what needs a browser."""
SECONDS_OF = {
    "unit": 0.3,
    "property": 3.0,
    "system": 10.0,
    "contracts": 5.0,
    "simulation": 5.0,
    "seams": 20.0,
}
SECONDS_OF_OTHERS = 2.0
START_SECONDS = 0.5
"""What a file costs before its first test."""
_WORD = re.compile(r"[A-Za-z_][\w.]*\w")


class NearTests:
    """The test files of the checkout."""

    def __init__(self) -> None:
        self._imports = KeptImports()
        self._seconds: dict[str, float] = (
            json.loads(SECONDS_FILE.read_text()) if SECONDS_FILE.exists() else {}
        )

    def of(self, module: str, mutant: Mutant) -> list[str]:
        """Files whose imports reach the module, or a program that does. module: its dotted name."""
        names = self._names_of(module, mutant)
        titles = Counter({part: 2.0 for part in module.split(".")[1:] for part in part.split("_")})
        worth: dict[str, float] = {}
        for file, reached in self._reached.items():
            if module in reached:
                said = _weight(names, self._words[file], self._files_saying)
                titled = _weight(titles, _title(file), self._files_titled)
                near = said + titled + 0.02 / reached[module]
                worth[file] = near / math.sqrt(START_SECONDS + self._takes(file))
        return sorted(worth, key=lambda file: (-worth[file], file))

    def _names_of(self, module: str, mutant: Mutant) -> dict[str, float]:
        """Words by which a test may mean this place: the module, what it defines and, above all, the function and what
        that uses."""
        source = self._imports.read(module).decode()
        found = dict.fromkeys(
            re.findall(r"^(?:async def|def|class) (\w+)|^([A-Z_]{3,})[:=]", source, re.MULTILINE), 1.0
        )
        names = {name: 1.0 for pair in found for name in pair if name}
        function = mutant.name.partition(":")[0].split(".")
        names.update(dict.fromkeys(_words(_text_of(source, function[-1])), 1.0))
        names.update(dict.fromkeys(function, 3.0))
        names[module] = 3.0
        return names

    def _takes(self, file: str) -> float:
        return self._seconds.get(file, SECONDS_OF.get(file.split("/")[1], SECONDS_OF_OTHERS))

    @cached_property
    def _reached(self) -> dict[str, dict[str, int]]:
        return {file: self._imports.reached(_dotted(file)) for file in self._files}

    @cached_property
    def _files(self) -> list[str]:
        found = (str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))
        return sorted(file for file in found if not file.startswith(NEVER))

    @cached_property
    def _words(self) -> dict[str, set[str]]:
        return {file: set(_words(self._imports.read(_dotted(file)).decode())) for file in self._files}

    @cached_property
    def _files_saying(self) -> Counter[str]:
        """In how many files each word stands."""
        return Counter(word for words in self._words.values() for word in words)

    @cached_property
    def _files_titled(self) -> Counter[str]:
        return Counter(word for file in self._files for word in _title(file))


def _weight(wanted: Mapping[str, float], there: set[str], files: Mapping[str, int]) -> float:
    """What is said in few files says more."""
    return sum(wanted[word] / files[word] for word in there & wanted.keys())


def _text_of(source: str, function: str) -> str:
    """Of all functions and classes with this name."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = (node for node in ast.walk(ast.parse(source)) if isinstance(node, defined))
    return "\n".join(ast.get_source_segment(source, node) or "" for node in found if node.name == function)


def _dotted(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")


def _title(file: str) -> set[str]:
    return {part for part in re.split(r"[/_.]", file.removesuffix(".py")) if part not in ("tests", "test")}


def _words(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        yield word
        yield from word.split(".") if "." in word else ()
