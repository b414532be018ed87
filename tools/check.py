"""`./dev check`: every quick check, each with its time. Goes on after a failure, then fails."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TYPED = ("src", "tools", "tests/tidy", "examples", "benchmarks")
QUICK_TESTS = ("tests/tidy", "tests/unit", "tests/property")


def present(folders: tuple[str, ...]) -> list[str]:
    """The folders that hold Python; others are not built yet."""
    return [folder for folder in folders if any((ROOT / folder).rglob("*.py"))]


def steps() -> list[tuple[str, list[str]]]:
    pytest = [
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist",
        "worksteal",
        "-m",
        "not slow",
        "--hypothesis-profile=quick",
        "--no-header",
    ]
    return [
        ("format", ["ruff", "format", "--check", "--output-format=concise", "."]),
        ("lint", ["ruff", "check", "--output-format=concise", "."]),
        ("import contracts", ["lint-imports", "--no-logo", "--cache-dir", ".dev/cache/import-linter"]),
        ("types", ["mypy", *present(TYPED)]),
        ("tidy, unit, property", [*pytest, *present(QUICK_TESTS)]),
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


def main() -> int:
    # A child is ended with us: subprocess.run kills it when an exception passes through.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    failed = []
    for name, command in steps():
        started = time.monotonic()
        done = run(command)
        seconds = time.monotonic() - started
        print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {name} ({seconds:.1f} s)", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stdout.rstrip(), flush=True)
        elif command[0] == "pytest":
            print(f"     {done.stdout.rstrip().splitlines()[-1]}", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}; ./dev fix mends format and some lint", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
