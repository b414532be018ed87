"""Which test files need not run again here: those that passed whole with all that they can depend on as it is now.

A file that never ran here counts as passed where none of that differs from the last commit that the upstream branch
has, too, of which CI ran all.

What test files can depend on is what they import, and what that imports: of the product, the functions that ran, the
constants and classes whose names these or a module of tests say, and what those say in turn, and what else is done
when a module is read (`parts.py`, `saying.py`, `what_ran.py`); of tests and tools, every byte. A name is said as such,
as an attribute, in an import or in a text. What a module imports only when it is asked for a name (`__getattr__`)
counts where somebody asked. Beside it the Python, the lock, whatever lies under `src` that is no Python, and what
pytest reads for every test. The names, parameters and docstrings of all functions, and all constants and classes,
count for a file that looks at them (`vars`, `inspect` and the like). Every byte of the product's modules counts for a
file that starts a program, draws by chance what it tries, sees line numbers or reads a module's text; and before
Python 3.12.

A module of tests that names `__file__` reads other files of the checkout. It says which by a constant, such as
`FILES_READ = ("tools/*.py",)`, and whoever imports it fails when it opens any other; whoever imports one that does not
say always runs. `.ci/run` never asks.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from parts import ASKED, LOOKERS, LOOKS, KnownParts
from saying import Saying

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".dev/cache/unchanged.json"
PARTS = ROOT / ".dev/cache/parts.json"
SHARED = ("requirements.lock", "pyproject.toml", "tests/conftest.py")
READ_FOR_ALL = ("tests.conftest", "tools.in_turn", "tools.unchanged")
CHANCE = "hypothesis"
NO_CHANCE = "--hypothesis-profile=same"
"""An option, with which it draws the same each time."""
Names = Mapping[str, Collection[str]]
"""Functions, by module."""
LOOKING = re.compile(rf"\b({'|'.join(sorted(LOOKS | LOOKERS - {'dir'}))})\b".encode())
"""In the text of a module of tests."""


@dataclass(frozen=True)
class Ran:
    """What a file did. functions: None where nobody knows. opened: as `what_ran.opened` says it."""

    functions: Iterable[tuple[str, str]] | None
    opened: Iterable[str]
    started: bool


class Unchanged:
    """The checkout as it is now, and what passed before. given: options of the run, which are part of what passed."""

    def __init__(self, given: Iterable[str]) -> None:
        self._given = " ".join(given)
        self._passed: dict[str, dict[str, Any]] = json.loads(STATE.read_text()) if STATE.exists() else {}
        self._imports = KnownParts(PARTS)
        self._known: dict[str, frozenset[str]] = {}
        self._needs: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        self._saying = Saying(self._imports, ROOT / "pyproject.toml")
        self._shared = self._of_every_test()

    def left(self, files: Iterable[str]) -> list[str]:
        """Those of the files that have to run."""
        return [file for file in files if not self._is_as_it_was(file)]

    def near(self, files: Iterable[str]) -> dict[str, int]:
        """Those that read or reach what is not as in the last commit upstream, with how many imports that is away."""
        paths = self._differing or frozenset()
        differing = {name for name, path in self._imports.modules.items() if path in paths}
        near = dict[str, int]()
        for file in files:
            reached = self._imports.reached(_module(file))
            away = [reached[one] for one in differing & reached.keys()]
            if not paths.isdisjoint(self._reads(file)):
                away.append(0)
            if away:
                near[file] = min(away)
        return near

    def is_noted(self, file: str) -> bool:
        """Whether it is worth knowing what this file does when it runs."""
        if self._always(file) or self._is_drawn(file):
            return False
        record = self._passed.get(file)
        in_vain = record is not None and record["in_vain"] == self._imports.octets_digest(_module(file))
        return not in_vain or bool(self._reads(file))

    def unstated(self, file: str, ran: Ran) -> list[str]:
        """What the file opened that nothing of it says that it reads."""
        known = {f"{path.relative_to(ROOT)}{'/' if path.is_dir() else ''}" for path in self._read_for(file)}
        return [one for one in ran.opened if one not in known]

    def keep(
        self,
        clean: Iterable[str],
        unclean: Iterable[str],
        ran: Mapping[str, Ran],
        before: Iterable[tuple[str, str]],
    ) -> None:
        """For the next run. clean: files of which every test passed. ran: what those that were noted did. before:
        functions that ran when modules were read."""
        for file in unclean:
            self._passed.pop(file, None)
        at_reading: dict[str, set[str]] = {}
        for module, name in before:
            at_reading.setdefault(module, set()).add(name)
        for file in clean:
            if not self._always(file):
                functions = self._functions(file, ran.get(file), at_reading)
                is_noted_in_vain = file in ran and functions is None
                looks = functions is not None and self._looks(file, functions)
                self._passed[file] = {
                    "digest": self._digest(file, functions, looks=looks),
                    "ran": functions,
                    "looks": looks,
                    "in_vain": self._imports.octets_digest(_module(file)) if is_noted_in_vain else "",
                }
        STATE.parent.mkdir(parents=True, exist_ok=True)
        STATE.write_text(json.dumps(self._passed))
        self._imports.keep()

    def _is_as_it_was(self, file: str) -> bool:
        record = self._passed.get(file)
        if self._always(file):
            return False
        if record is None:
            return self._differing is not None and self._differing.isdisjoint(self._read_for(file))
        if not self._imports.modules.keys() >= (record["ran"] or {}).keys():
            return False
        return bool(record["digest"] == self._digest(file, record["ran"], looks=record.get("looks", False)))

    def _functions(self, file: str, ran: Ran | None, at_reading: Mapping[str, set[str]]) -> Names | None:
        """Those whose bodies matter; None where all of all modules does."""
        if ran is None or ran.functions is None or ran.started:
            return None
        if any(one.startswith("src/") and one.endswith(".py") for one in ran.opened):
            return None
        found: dict[str, set[str]] = {}
        for module, name in ran.functions:
            found.setdefault(module, set()).add(name)
        for one in self._needed(file, found) & at_reading.keys():
            found.setdefault(one, set()).update(at_reading[one])
        if found.keys() - self._imports.modules.keys():
            return None
        for module, names in found.items():
            parts = self._imports.parts(module)
            # The body of a class, and what is written in place, such as a lambda, is part of each surface.
            names -= {
                one
                for one in names
                if one.rpartition(".")[2].startswith("<") or parts.functions.get(one) == ""
            }
            if names - parts.functions.keys() or names.intersection(parts.placed):
                return None
        return {module: sorted(names) for module, names in sorted(found.items()) if names}

    def _looks(self, file: str, functions: Names) -> bool:
        """Whether it looks at functions that it need not call."""
        tests = (one for one in self._reached(file) if not _ours(one))
        return any(LOOKING.search(self._imports.read(one)) for one in tests) or any(
            not set(self._imports.parts(one).looking).isdisjoint(names) for one, names in functions.items()
        )

    def _of_every_test(self) -> bytes:
        digest = sha256(f"{sys.version} {self._given}".encode())
        for path in [*(ROOT / one for one in SHARED), *self._beside_modules]:
            digest.update(path.read_bytes())
        for one in READ_FOR_ALL:
            for module in sorted(self._imports.needed(one)) if one in self._imports.modules else ():
                # Of the product, what it runs is noted, and is for whoever imports the same.
                if not _ours(module):
                    digest.update(self._imports.octets_digest(module).encode())
        return digest.digest()

    @cached_property
    def _beside_modules(self) -> list[Path]:
        """What lies under `src` that is no Python."""
        found = (ROOT / "src").rglob("*")
        return sorted(one for one in found if one.is_file() and one.suffix not in (".py", ".pyc"))

    def _reached(self, file: str) -> frozenset[str]:
        if file not in self._known:
            self._known[file] = self._imports.needed(_module(file))
        return self._known[file]

    def _needed(self, file: str, functions: Names) -> frozenset[str]:
        """Of the modules that it reaches, those that are read by what it does. functions: that ran."""
        idle = frozenset(one for one in self._imports.asked if ASKED not in functions.get(one, ()))
        if (file, idle) not in self._needs:
            self._needs[file, idle] = self._imports.needed(_module(file), idle)
        return self._needs[file, idle]

    def _is_drawn(self, file: str) -> bool:
        """Whether it tries what nobody chose."""
        if NO_CHANCE in self._given:
            return False
        tests = (one for one in self._reached(file) if not _ours(one))
        return any(
            name.partition(".")[0] == CHANCE for one in tests for name in self._imports.parts(one).names
        )

    def _always(self, file: str) -> bool:
        """Whether nobody knows what it reads."""
        return any(
            b"__file__" in self._imports.read(one) and one not in self._stated
            for one in self._reached(file)
            if one.startswith("tests.")
        )

    def _reads(self, file: str) -> dict[Path, str]:
        """What its modules say that they read, folders among it, each with a digest."""
        found = [self._stated[one] for one in self._reached(file) if one in self._stated]
        return {path: digest for one in found for path, digest in one.items()}

    @cached_property
    def _stated(self) -> dict[str, dict[Path, str]]:
        """By module of tests, what it says that it reads."""
        stated: dict[str, dict[Path, str]] = {}
        for module in self._imports.modules:
            if module.startswith("tests.") and b"\nFILES_READ = " in (octets := self._imports.read(module)):
                for one in ast.parse(octets).body:
                    if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "FILES_READ":
                        patterns = ast.literal_eval(one.value)
                        stated[module] = {
                            path: "" if path.is_dir() else sha256(path.read_bytes()).hexdigest()
                            for pattern in patterns
                            for path in _found(pattern)
                        }
        return stated

    @cached_property
    def _differing(self) -> frozenset[Path] | None:
        """Files that are not as in the last commit that the upstream branch has, too.

        None where nobody knows, and where a file of that commit is gone, which whoever needed it cannot name.
        """
        try:
            base = _git("merge-base", "HEAD", "@{upstream}").strip()
            if _git("diff", "--name-only", "--diff-filter=D", "--no-renames", base):
                return None
            names = [*_git("diff", "--name-only", base).splitlines()]
            names += _git("ls-files", "--others", "--exclude-standard").splitlines()
        except (OSError, subprocess.CalledProcessError):
            return None
        return frozenset(ROOT / one for one in names)

    def _read_for(self, file: str) -> Iterator[Path]:
        """All that counts for it."""
        yield from (self._imports.modules[one] for one in self._reached(file))
        yield from (ROOT / one for one in SHARED)
        yield from self._beside_modules
        yield from self._reads(file)

    def _digest(self, file: str, functions: Names | None, *, looks: bool) -> str:
        """Of all that this file runs. functions: those that matter. looks: whether all do, without their bodies."""
        digest = sha256(self._shared)
        reads = [f"{path.relative_to(ROOT)} {octets}" for path, octets in self._reads(file).items()]
        if functions is None or looks:
            told = [self._whole(one, functions) for one in {*self._reached(file), *(functions or ())}]
        else:
            needed = sorted(self._needed(file, functions) | functions.keys())
            told = [text for one in needed if (text := self._ran(one, functions.get(one, ())))]
            digest.update(self._saying.counted(needed, self._saying.said(needed, functions)).encode())
        for text in (*sorted(told), *sorted(reads)):
            digest.update(text.encode())
        return digest.hexdigest()

    def _whole(self, module: str, functions: Names | None) -> str:
        """Of a module, for a file that looks at all of it; every byte where nobody knows which functions matter."""
        if functions is not None and _ours(module):
            return f"{self._imports.parts(module).whole} {self._ran(module, functions.get(module, ()))}"
        return self._ran(module, None)

    def _ran(self, module: str, functions: Collection[str] | None) -> str:
        """Of a module without its symbols. functions: those that count, None where every byte does."""
        if functions is None or not _ours(module):
            return f"{module} {self._imports.octets_digest(module)}"
        parts = self._imports.parts(module)
        bodies = " ".join(parts.functions.get(name, "gone") for name in functions)
        return f"{module} {parts.rest} {bodies}" if parts.rest or bodies else ""


def _found(pattern: str) -> Iterator[Path]:
    """What a pattern names, and the folder that has to be listed for that."""
    before, star, _ = pattern.partition("*")
    if star:
        yield ROOT / before.rpartition("/")[0]
    yield from (path for path in ROOT.glob(pattern) if "__pycache__" not in path.parts)


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _module(file: str) -> str:
    return ".".join(Path(file).with_suffix("").parts)


def _ours(module: str) -> bool:
    """Whether it is of the product."""
    return module.partition(".")[0] == "answerable"
