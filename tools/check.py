"""`./dev check [--static] [--all]`: every quick check with its time, tests beside the rest; goes on after a failure.

It takes a minute at most, but for `--all`: tests for which no time was left are counted, and run first the next time.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TYPED = ("src", "tools", "tests", "examples", "benchmarks")
WITHIN_SECONDS = "45"
"""In which tests are begun."""
QUICK_TESTS = ("tests/tidy", "tests/unit", "tests/property")


def present(folders: tuple[str, ...]) -> list[str]:
    """The folders that hold Python; others are not built yet."""
    return [folder for folder in folders if any((ROOT / folder).rglob("*.py"))]


def static_steps() -> list[tuple[str, list[str]]]:
    return [
        ("format", ["ruff", "format", "--check", "--output-format=concise", "."]),
        ("lint", ["ruff", "check", "--output-format=concise", "."]),
        ("import contracts", ["lint-imports", "--no-logo", "--cache-dir", ".dev/cache/import-linter"]),
        ("types", ["mypy", *present(TYPED)]),
    ]


def test_step() -> tuple[str, list[str]]:
    # What passed and is as it was need not run again, but where what we say of a change is decided; there, properties
    # are tried with what chance gives.
    some = ["--changed", "--within", WITHIN_SECONDS]
    changed, profile = ([], "quick") if "--all" in sys.argv else (some, "same")
    # On two cores: with three, a third of the time of both went by in waiting (1:30 for 1:21).
    workers = ["--workers", "5"]
    options = ["--", "-m", "not slow", f"--hypothesis-profile={profile}"]
    return "tidy, unit, property", [
        "python",
        "tools/run_tests.py",
        *changed,
        *workers,
        *QUICK_TESTS,
        *options,
    ]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def shown(name: str, command: list[str]) -> str:
    """Runs a step and says what it came to; its name if it failed."""
    started = time.monotonic()
    done = run(command)
    told = [f"{'ok  ' if done.returncode == 0 else 'FAIL'} {name} ({time.monotonic() - started:.1f} s)"]
    if done.returncode:
        told.append(done.stdout.rstrip())
    elif command[0] == "python":
        told += [f"     {line}" for line in done.stdout.rstrip().rpartition("\n\n")[2].splitlines()]
    print("\n".join(told), flush=True)
    return name if done.returncode else ""


def main() -> int:
    # A child is ended with us: subprocess.run kills it when an exception passes through.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with ThreadPoolExecutor() as beside:
        static = beside.submit(lambda: [shown(*step) for step in static_steps()])
        tested = [] if "--static" in sys.argv else [shown(*test_step())]
        failed = [name for name in (*tested, *static.result()) if name]
    if failed:
        print(f"failed: {', '.join(failed)}; ./dev fix mends format and some lint", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
