"""`./dev mutate`: which small changes to the code does no test notice? Prints the survivors, and what share is noticed.

    ./dev mutate [--room PATH] [--sample N] [--seed N] [--jobs N] [--seconds N] [--mutant NAME] [--fresh] [--json]

What may be changed is told in `mutants.py`. A sample is drawn by seed: a module by its share of the statements, then
any change to it. Each mutant meets the test files that reach it, nearest and quickest first (`near_tests.py`), until a
test fails, or they took so many seconds of CPU or four times as many on the clock: a survivor is one that these did
not notice. Slow tests are left out. What hangs or ends a test process counts as noticed. At the end every test that
noticed anything runs on the code as it is, and counts only if it passes there. What was found is kept in
`.dev/cache/mutants.jsonl`, so that an interrupted run goes on; it counts while module and test are what they were, and
of a survivor while all code and all tests are.

Exits with 1 when one survives that `tests/mutants.toml` does not argue to change nothing, or when that file names one
that there is not.

Why no library, by their documents: mutmut 3 changes nothing outside functions, draws no sample, and first runs every
test under its tracer to know which meets which function; cosmic-ray runs one command of tests for all mutants, and
changes the files of the checkout itself.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import sys
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path

from imports import ROOT
from mutant_trials import CODE, ENDS, HANGS, SECONDS_MAX, Job, Met, Trials
from mutants import mutants
from near_tests import NearTests

ROOMS = ("core", "flows", "wiring", "apps", "verify")
EVERY_KIND = "core/tlog/"
"""Where bounds and wordings are changed, too: others read what this code writes."""
KNOWN = ROOT / "tests/mutants.toml"
KEPT = ROOT / ".dev/cache/mutants.jsonl"
TOLD_EVERY = 10


def argued() -> dict[str, str]:
    """Mutants that change nothing, each with the reason."""
    listed = tomllib.loads(KNOWN.read_text(encoding="utf-8")) if KNOWN.exists() else {}
    return {one["mutant"]: one["reason"] for one in listed.get("equivalent", [])}


def jobs_of(path: Path) -> list[Job]:
    """Every mutant of a module."""
    every = str(path.relative_to(CODE)).startswith(EVERY_KIND)
    found = mutants(path.read_text(encoding="utf-8"))
    return [Job(path, one) for one in found if every or not one.kind]


def modules(room: str | None) -> list[Path]:
    """Of a room, of a folder in it, of one file; of all rooms otherwise."""
    under = [CODE / room] if room else [CODE / one for one in ROOMS]
    found = [path for one in under for path in ([one] if one.is_file() else sorted(one.rglob("*.py")))]
    if not found:
        raise SystemExit(
            f"no code in `{room}`: expected a room ({', '.join(ROOMS)}), or a folder or file in one"
        )
    return found


def drawn(paths: Sequence[Path], sample: int, seed: int) -> list[Job]:
    """So many by chance; all of them for 0."""
    if not sample:
        return [job for path in paths for job in jobs_of(path)]
    chance = random.Random(seed)  # noqa: S311 no secret
    weight = {path: _statements(path) for path in paths}
    left: dict[Path, list[Job]] = {}
    chosen: list[Job] = []
    while weight and len(chosen) < sample:
        (path,) = chance.choices(list(weight), list(weight.values()))
        if path not in left:
            left[path] = jobs_of(path)
        if ours := left[path]:
            chosen.append(ours.pop(chance.randrange(len(ours))))
        else:
            del weight[path]
    return chosen


@cache
def _statements(path: Path) -> int:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return 1 + sum(isinstance(node, ast.stmt) for node in ast.walk(tree))


class Kept:
    """What earlier runs found. Only what still counts is given back."""

    def __init__(self, *, fresh: bool) -> None:
        self._lock = threading.Lock()
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        lines = KEPT.read_text().splitlines() if KEPT.exists() and not fresh else []
        self._rows = {row["mutant"]: row for row in map(json.loads, lines)}

    def of(self, job: Job) -> Met | None:
        row = self._rows.get(job.name)
        if row is None or row["state"] != self._state(job, Met(row["by"])):
            return None
        return Met(row["by"], row["seconds"])

    def last_file(self, job: Job) -> str:
        """The one that noticed it last time, whatever has changed since."""
        return Met(self._rows.get(job.name, {}).get("by", "")).file

    def keep(self, job: Job, met: Met) -> None:
        row = {
            "mutant": job.name,
            "by": met.by,
            "seconds": round(met.seconds, 1),
            "state": self._state(job, met),
        }
        with self._lock, KEPT.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _state(self, job: Job, met: Met) -> str:
        if not met.by:
            return self._everything
        test = ROOT / met.file
        octets = test.read_bytes() if test.is_file() else b""
        return sha256(job.path.read_bytes() + octets).hexdigest()

    @cached_property
    def _everything(self) -> str:
        digest = sha256()
        for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]):
            digest.update(path.read_bytes())
        return digest.hexdigest()


class Run:
    """All of a sample, some at a time. met: what became of each."""

    def __init__(self, jobs: Sequence[Job], *, size: int, seconds_max: float, fresh: bool) -> None:
        self.met: dict[Job, Met] = {}
        self._jobs = jobs
        self._seconds_max = seconds_max
        self._near = NearTests()
        self._kept = Kept(fresh=fresh)
        self._free = [Trials() for _ in range(size)]
        self._failing: set[str] = set()
        self._begun = time.monotonic()

    def finish(self) -> None:
        """What noticed a mutant must pass without it: what does not is asked no more."""
        while left := [job for job in self._jobs if job not in self.met]:
            with ThreadPoolExecutor(len(self._free)) as pool:
                for job, met in pool.map(self._one, left):
                    self.met[job] = met
                    self._tell(job, met)
            failing = self._failing_anyway({met.by for met in self.met.values() if "::" in met.by})
            self._failing |= {by.partition("::")[0] for by in failing}
            self.met = {job: met for job, met in self.met.items() if met.by not in failing}
        for job, met in self.met.items():
            self._kept.keep(job, met)

    def _one(self, job: Job) -> tuple[Job, Met]:
        met = self._kept.of(job)
        if met is None or met.file in self._failing:
            trying = self._free.pop()
            try:
                met = trying.changed(job, self._files(job), self._seconds_max)
            finally:
                self._free.append(trying)
            self._kept.keep(job, met)
        return job, met

    def _files(self, job: Job) -> Iterator[str]:
        near = [file for file in self._near.of(job.module, job.mutant) if file not in self._failing]
        if (first := self._kept.last_file(job)) in near:
            yield first
        yield from (file for file in near if file != first)

    def _failing_anyway(self, tests: set[str]) -> set[str]:
        """Of these tests those that fail on the code as it is."""
        found: set[str] = set()
        left = {one for one in tests if not one.endswith((HANGS, ENDS))}
        while left:
            met = self._free[0].unchanged(sorted(left), float("inf"))
            if not met.by:
                break
            print(f"fails without any change, so it proves nothing: {met.by}", file=sys.stderr, flush=True)
            found |= {one for one in left if one.partition("::")[0] == met.file}
            left -= found
        return found

    def _tell(self, job: Job, met: Met) -> None:
        if not met.by:
            print(
                f"survived: {job.path.relative_to(ROOT)}:{job.mutant.line} {job.name}",
                file=sys.stderr,
                flush=True,
            )
        minutes, survived = (
            (time.monotonic() - self._begun) / 60,
            sum(not one.by for one in self.met.values()),
        )
        told = f"  {minutes:.0f} min: {len(self.met)} of {len(self._jobs)} tried, {survived} survived"
        if sys.stderr.isatty():
            print(f"\r{told}", end="", file=sys.stderr, flush=True)
        elif len(self.met) % TOLD_EVERY == 0:
            print(told, file=sys.stderr, flush=True)


def report(run: Run, left_out: int, stale: Sequence[str]) -> None:
    """The rate of each room, and who survived."""
    tried_in = Counter(job.room for job in run.met)
    noticed_in = Counter(job.room for job, met in run.met.items() if met.by)
    for room, count in sorted(tried_in.items()):
        print(f"{room:8} {noticed_in[room]} of {count} ({noticed_in[room] / count:.1%})")
    count, noticed = tried_in.total(), noticed_in.total()
    print(f"all      {noticed} of {count} mutants noticed ({noticed / max(1, count):.1%})")
    if left_out:
        print(f"{left_out} more change nothing, as {KNOWN.relative_to(ROOT)} argues")
    for job in (job for job, met in run.met.items() if not met.by):
        print(f"survived: {job.name}  (line {job.mutant.line})")
    for name in stale:
        print(f"argued to change nothing, but there is no such mutant any more: {name}")


def stale_of(names: Iterable[str]) -> list[str]:
    """Names that no mutant has."""
    paths = {CODE / name.partition(":")[0] for name in names}
    there = {job.name for path in paths if path.is_file() for job in jobs_of(path)}
    return sorted(set(names) - there)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0], allow_abbrev=False)
    parser.add_argument(
        "--room", help="a room, or a folder or file in one, such as core/tlog; all five otherwise"
    )
    parser.add_argument("--sample", type=int, default=200, help="so many mutants; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--jobs", type=int, default=1, help="so many at a time, each in a copy of the checkout"
    )
    parser.add_argument("--seconds", type=int, default=SECONDS_MAX, help="of CPU that the tests of each take")
    parser.add_argument("--mutant", action="append", help="this one, as it was named; may be repeated")
    parser.add_argument("--fresh", action="store_true", help="believe nothing that an earlier run found")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Parse and run."""
    given, known = options(), argued()
    if given.mutant:
        paths = sorted({CODE / name.partition(":")[0] for name in given.mutant})
        every = [job for path in paths for job in jobs_of(path) if job.name in given.mutant]
    else:
        every = drawn(modules(given.room), given.sample, given.seed)
    chosen, stale = [job for job in every if job.name not in known], stale_of(known)
    run = Run(chosen, size=given.jobs, seconds_max=given.seconds, fresh=given.fresh)
    run.finish()
    survivors = sorted(job.name for job, met in run.met.items() if not met.by)
    if given.json:
        noticed = {job.name: met.by for job, met in run.met.items() if met.by}
        told = {"mutants": len(chosen), "noticed": noticed, "survivors": survivors, "stale": stale}
        print(json.dumps({**told, "argued": len(every) - len(chosen)}))
    else:
        report(run, len(every) - len(chosen), stale)
    return 1 if survivors or stale else 0


if __name__ == "__main__":
    sys.exit(main())
