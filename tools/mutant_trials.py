"""One changed module meets tests, in a copy of the checkout."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from forked_tests import Forking, Tests
from imports import ROOT
from mutant_copy import Copy
from mutants import Mutant, mutated
from run_tests import NO_TESTS

CODE = ROOT / "src/answerable"
OPTIONS = (
    "-x",
    "-m",
    "not slow",
    "-o",
    "cache_dir=.dev/cache/pytest",
    "--hypothesis-profile=quick",
    "--hypothesis-seed=0",
)
SECONDS_MAX = 30
"""Of CPU, its own and that of what it started and ended, however busy the machine is."""
WAITING_MAX = 4
"""Times as long on the clock: much of what tests of servers take is waiting."""
SILENT_SECONDS_MAX = 180
"""So long nothing is said by a process that hangs."""
HANGS, ENDS = "::hangs", "::ends its process"


@dataclass(frozen=True, slots=True)
class Job:
    """One mutant of one module."""

    path: Path
    mutant: Mutant

    @property
    def name(self) -> str:
        """As in the list of those that change nothing."""
        return f"{self.path.relative_to(CODE)}: {self.mutant.name}"

    @property
    def room(self) -> str:
        return self.path.relative_to(CODE).parts[0]

    @property
    def module(self) -> str:
        """Its dotted name."""
        return ".".join(self.path.relative_to(CODE.parent).with_suffix("").parts).removesuffix(".__init__")


@dataclass(frozen=True, slots=True)
class Met:
    """What became of a mutant. by: the test that noticed it, or what ended; empty for a survivor."""

    by: str
    seconds: float = 0.0

    @property
    def file(self) -> str:
        return self.by.partition("::")[0]


class Trials:
    """A copy of the checkout, and the process that forks its tests."""

    def __init__(self) -> None:
        self._copy = Copy()

    @cached_property
    def _forking(self) -> Forking:
        """Started for the first mutant that no earlier run met."""
        return Forking(self._copy.root, self._copy.python)

    def changed(self, job: Job, files: Iterable[str], seconds_max: float) -> Met:
        """Run these test files on a mutant until one fails, or they took long enough."""
        self._copy.change(job.path, mutated(job.path.read_text(encoding="utf-8"), job.mutant))
        try:
            return self.unchanged(files, seconds_max)
        finally:
            self._copy.restore(job.path)

    def unchanged(self, files: Iterable[str], seconds_max: float) -> Met:
        """The same on the code as it is."""
        tests = self._forking.start(OPTIONS)
        tests.channel.settimeout(SILENT_SECONDS_MAX)
        self._forking.patience(SILENT_SECONDS_MAX)
        left, last, by, spent, begun = iter(files), "no test", "", 0.0, time.monotonic()
        try:
            while spent <= seconds_max and (lines := tests.lines()) is not None:
                for line in lines:
                    spent = max(spent, tests.cpu_seconds(), (time.monotonic() - begun) / WAITING_MAX)
                    if "ask" in line:
                        tests.hand(None if by or spent > seconds_max else next(left, None))
                    elif "begun" in line:
                        last = str(line["begun"])
                    elif line.get("outcome") == "failed":
                        by = by or str(line["test"])
        except TimeoutError:
            by = by or f"{last}{HANGS}"
        status = self._end(tests)
        if not by and spent <= seconds_max and status not in (0, NO_TESTS):
            by = f"{last}{ENDS}"
        return Met(by, spent)

    def _end(self, tests: Tests) -> int:
        """Its own way where it is at its end, then asked, then ended."""
        tests.channel.close()
        tests.signal(signal.SIGINT)
        try:
            return self._forking.status()
        except TimeoutError:
            tests.signal(signal.SIGKILL)
            return self._forking.status()
