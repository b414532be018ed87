"""Which small changes to the tree code does no test notice? Prints the survivors, and what share was noticed.

    tools/mutate.py [--module NAME] [--jobs N] [--sample N] [--seed N] [--json]

Each mutant runs the fast tests of core/tlog in a fork of a process that has loaded all but the code under test, until
one fails. What it names in `tests/mutants.toml` as changing nothing is not run. Exits with 1 when another survives.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest
from hypothesis import settings

from mutants import Mutant, mutants, mutated

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "src/answerable/core/tlog"
TESTS = (
    "tests/unit/core/tlog",
    "tests/property/test_tlog_laws.py",
    "tests/property/test_tile_laws.py",
    "tests/property/test_cosigning_laws.py",
    "tests/fuzz/test_tlog_parsers.py",
)
KNOWN = ROOT / "tests/mutants.toml"
SECONDS_MAX = 25
"""Of CPU; the tests take a fifth of it."""
MEMORY_BYTES_MAX = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Job:
    """One mutant of one module. dotted: the module's name."""

    path: Path
    dotted: str
    mutant: Mutant

    @property
    def name(self) -> str:
        """As in the list of those that change nothing."""
        return f"{self.path.name}: {self.mutant.name}"


class _Loader(importlib.abc.InspectLoader):
    """Gives one module another text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_source(self, fullname: str) -> str:
        return self._text


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, dotted: str, loader: _Loader) -> None:
        self._dotted, self._loader = dotted, loader

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._dotted:
            return None
        return importlib.util.spec_from_loader(fullname, self._loader)


def known() -> dict[str, str]:
    """Mutants that change nothing, each with the reason."""
    listed = tomllib.loads(KNOWN.read_text(encoding="utf-8")) if KNOWN.exists() else {}
    return {one["mutant"]: one["reason"] for one in listed.get("equivalent", [])}


def jobs(module: str | None) -> list[Job]:
    """Every mutant of the code, or of one module."""
    found = []
    for path in sorted(CODE.glob("*.py")):
        if module in (None, path.stem) and path.stem != "__init__":
            dotted = f"answerable.core.tlog.{path.stem}"
            found += [Job(path, dotted, one) for one in mutants(path.read_text(encoding="utf-8"))]
    return found


def tests_for(stem: str) -> list[str]:
    """All fast tests, those of the module first."""
    own = sorted(str(path.relative_to(ROOT)) for path in (ROOT / TESTS[0]).glob(f"test_{stem}*.py"))
    others = sorted(str(path.relative_to(ROOT)) for path in (ROOT / TESTS[0]).glob("test_*.py"))
    return [*own, *(one for one in others if one not in own), *TESTS[1:]]


def run_tests(job: Job | None) -> NoReturn:
    """In a fork: load the mutant, run the tests, exit with 0 if all of them pass."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_MAX, SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    if job is not None:
        text = mutated(job.path.read_text(encoding="utf-8"), job.mutant)
        sys.meta_path.insert(0, _Finder(job.dotted, _Loader(text)))
    arguments = [
        "-x",
        "-q",
        "-o",
        "cache_dir=.dev/cache/mutants",
        "--hypothesis-profile=mutants",
        "--hypothesis-seed=0",
    ]
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    status = 1
    try:
        status = int(pytest.main([*arguments, *tests_for(job.path.stem if job else "")]))
    finally:
        os._exit(status)


class Pool:
    """So many forks at a time. survivors: jobs that no test noticed."""

    def __init__(self, size: int) -> None:
        self.survivors: list[Job] = []
        self._size = size
        self._running: dict[int, tuple[Job | None, float]] = {}

    def run(self, job: Job | None) -> None:
        """Start one, once there is room."""
        while len(self._running) >= self._size:
            self._end_one()
        child = os.fork()
        if child == 0:
            run_tests(job)
        self._running[child] = (job, time.monotonic())

    def finish(self) -> None:
        """Wait for all."""
        while self._running:
            self._end_one()

    def _end_one(self) -> None:
        """Wait for one; what sleeps instead of computing is ended by the clock."""
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child:
                break
            for pid, (_, started) in self._running.items():
                if time.monotonic() - started > 3 * SECONDS_MAX:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        job, _ = self._running.pop(child)
        if job is None and status:
            raise SystemExit("the tests fail without any change: nothing can be learnt")
        if job is not None and status == 0:
            self.survivors.append(job)
            print(f"survived: {job.path.name}:{job.mutant.line} {job.name}", file=sys.stderr, flush=True)


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--module", help="of core/tlog; all of them otherwise")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, default=0, help="so many mutants instead of all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="1/1", help="e.g. 2/4: the second quarter of all")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    os.chdir(ROOT)
    # Nothing of it may be left from mutants: what they find is no finding about the code.
    settings.register_profile("mutants", database=None, max_examples=20, deadline=None)
    listed = known()
    part, parts = (int(one) for one in given.part.split("/"))
    every = jobs(given.module)[part - 1 :: parts]
    chosen = [job for job in every if job.name not in listed]
    if 0 < given.sample < len(chosen):
        chosen = random.Random(given.seed).sample(chosen, given.sample)  # noqa: S311 no secret
    pool = Pool(given.jobs)
    pool.run(None)
    pool.finish()
    for job in chosen:
        pool.run(job)
    pool.finish()
    noticed = len(chosen) - len(pool.survivors)
    stale = sorted(set(listed) - {job.name for job in jobs(None)})
    if given.json:
        print(
            json.dumps(
                {
                    "mutants": len(chosen),
                    "noticed": noticed,
                    "survivors": sorted(job.name for job in pool.survivors),
                    "equivalent": len(every) - len([job for job in every if job.name not in listed]),
                    "stale": stale,
                }
            )
        )
    else:
        print(f"{noticed} of {len(chosen)} mutants noticed ({noticed / max(1, len(chosen)):.1%})")
        for name in stale:
            print(f"named as changing nothing, but there is no such mutant any more: {name}")
    return 1 if pool.survivors or stale else 0


if __name__ == "__main__":
    sys.exit(main())
