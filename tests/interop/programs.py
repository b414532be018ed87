"""Runs programs that others wrote. What is not installed skips its tests loudly, naming what to install."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path

from go_programs import compiled
from set_up import ROOT, VERIFIERS
from tests.probes.loud_skips import skip_loudly
from verifiers import GO, GO_SPIFFE, GO_SPIFFE_LIBRARY, SIGSUM, SPICY, Program

IN_AICS = ROOT / "tests/interop/in_aics.py"
IN_WEBHOOKS = ROOT / "tests/interop/in_webhooks.py"
GO_PROGRAM = ROOT / "tests/interop/go"
GO_WORKLOAD = ROOT / "tests/interop/go_spiffe"
GO_WORKLOAD_API = ROOT / "tests/interop/go_workload_api"
RUN_SECONDS_MAX = 60
ACCEPTED, REFUSED = 0, 1


def program(wanted: Program) -> str:
    """Path of a Debian program, or a loud skip."""
    if not wanted.is_here():
        skip_loudly(" ".join(wanted.packages), wanted.advice(), name=wanted.name)
    return wanted.paths[0]


def spicy() -> str:
    return program(SPICY)


def sigsum_witness() -> str:
    return program(SIGSUM)


def aics(name: str) -> Path:
    """A program of the environment with aics-tlog and aics-witness, or a loud skip."""
    environment = next(one for one in VERIFIERS if one.path == "verifiers/aics")
    if not environment.is_ready():
        advice = f"./dev verifiers, on a machine with Python {environment.python_min} or later"
        skip_loudly(f"{name} of {environment.lock}", advice, name="aics")
    return environment.folder / "bin" / name


def webhooks(name: str) -> Path:
    """A program of the environment with the libraries that read webhooks, or a loud skip."""
    environment = next(one for one in VERIFIERS if one.path == "verifiers/webhooks")
    if not environment.is_ready():
        skip_loudly(f"{name} of {environment.lock}", "./dev verifiers", name="webhooks")
    return environment.folder / "bin" / name


def schemathesis() -> Path:
    """The program that calls an API as its OpenAPI document says, or a loud skip."""
    environment = next(one for one in VERIFIERS if one.path == "verifiers/schemathesis")
    if not environment.is_ready():
        skip_loudly(f"schemathesis of {environment.lock}", "./dev verifiers", name="schemathesis")
    return environment.folder / "bin" / "st"


def go_workload() -> Path:
    """The program of tests/interop/go_spiffe, or a loud skip."""
    return go_program(GO_WORKLOAD, GO_SPIFFE)


def go_workload_api() -> Path:
    """The program of tests/interop/go_workload_api, or a loud skip."""
    return go_program(GO_WORKLOAD_API, GO_SPIFFE, GO_SPIFFE_LIBRARY)


@functools.cache
def go_program(sources: Path = GO_PROGRAM, wanted: Program = GO, within: str = "") -> Path:
    """The program of tests/interop/go, which `./dev verifiers` has compiled, or which is compiled now; or a loud
    skip."""
    compiler = program(wanted)
    return compiled(sources, compiler, within)


def run_aics(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """As `run`, of a program of the environment with aics-tlog, or of IN_AICS if it has no name. Their library is read
    once for all of them: most of what a run takes."""
    aics(name or "aics-tlog")
    forking = _forking_aics()
    assert forking.stdin is not None
    assert forking.stdout is not None
    line = [name or str(IN_AICS), *map(str, words)]
    forking.stdin.write(json.dumps(line) + "\n")
    forking.stdin.flush()
    return subprocess.CompletedProcess(line, **json.loads(forking.stdout.readline()))


@functools.cache
def _forking_aics() -> subprocess.Popen[str]:
    """It ends with this process, which closes its standard input."""
    return subprocess.Popen(
        [str(aics("python")), str(IN_AICS), "fork"],
        env=_without_python(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _without_python() -> dict[str, str]:
    """The environment without our own Python's settings."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }


def run(
    *command: str | Path, here: Path | None = None, given: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """One run to its end, in an environment without our own Python's settings, and with `more`."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=here,
        env=_without_python() | more,
        input=given,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
