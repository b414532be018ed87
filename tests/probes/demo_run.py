"""The demo as a stranger runs it, for the tests of the demo and of the pages that show it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.probes import warm_starts
from tests.stand_ins.session_servers import made_once

ROOT = Path(__file__).parents[2]
UPSTREAMS = Path(os.environ.get("ANSWERABLE_UPSTREAMS", ROOT / ".dev" / "upstreams"))
RUN_SECONDS_MAX = 300
HOME = Path(".dev/demo-data")
"""Where a newcomer finds it."""

_ABSENT = [
    name
    for name, there in {
        "git": shutil.which("git"),
        "mcp-server-git": (UPSTREAMS / "git/bin/mcp-server-git").exists(),
        "mcp-server-sqlite": (UPSTREAMS / "sqlite/bin/mcp-server-sqlite").exists(),
    }.items()
    if not there
]
needs_upstreams = pytest.mark.skipif(
    bool(_ABSENT), reason=f"not installed: {', '.join(_ABSENT)}; ./dev test installs the servers"
)


def environment(**more: str) -> dict[str, str]:
    """The environment of a newcomer: our sources, the upstream servers, no terminal."""
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    kept = {name: value for name, value in os.environ.items() if name not in ("ANSWERABLE_DATA", "COLUMNS")}
    return {**kept, "PYTHONPATH": path, "ANSWERABLE_UPSTREAMS": str(UPSTREAMS), **more}


def command(home: Path, *options: str, examples: Path = ROOT / "examples") -> list[str]:
    """As `./dev demo` starts it, on a home of its own; what it starts of the product is forked where tests do that
    (`warm_starts.py`)."""
    warm = [str(ROOT / "tests/probes/warm_demo.py")] if warm_starts.installed() else []
    return [sys.executable, *warm, str(examples / "demo"), "--home", str(home), *options]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished demo."""

    home: Path
    code: int
    out: str

    @property
    def here(self) -> Path:
        """Where a newcomer ran it: its home is in `.dev/demo-data` of that."""
        return self.home.parents[1]


def run_demo(
    home: Path,
    *options: str,
    examples: Path = ROOT / "examples",
    here: Path | None = None,
    more: Mapping[str, str] | None = None,
) -> Run:
    """Run it to its end, piped.

    here: the current folder, else the one that home is in. more: of its environment.
    """
    done = subprocess.run(
        command(home, *options, examples=examples),
        cwd=here or home.parent,
        env=environment(**(more or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    return Run(home=home, code=done.returncode, out=done.stdout)


def the_demo(*options: str) -> Run:
    """The demo with these options, run once for all tests of a run. They only read what it left."""
    folder = made_once("".join(["demo", *options]), lambda new: _demonstrate(new, *options))
    out, code = (folder.with_suffix(one).read_text() for one in (".out", ".code"))
    return Run(home=folder / HOME, code=int(code), out=out)


def _demonstrate(folder: Path, *options: str) -> None:
    folder.chmod(0o711)  # PostgreSQL runs for an account without rights, which has to pass through.
    (folder / HOME).parent.mkdir()
    run = run_demo(folder / HOME, *options, here=folder, more={"TMPDIR": str(folder)})
    folder.with_suffix(".out").write_text(run.out)
    folder.with_suffix(".code").write_text(str(run.code))


@contextmanager
def copied(run: Run) -> Iterator[Run]:
    """The same in a folder that may be changed. Holes stay holes: a ledger reserves 64 MiB at a time."""
    with short_folder() as folder:
        subprocess.run(["cp", "-a", "--sparse=always", f"{run.here}/.", str(folder)], check=True)
        yield replace(run, home=folder / HOME)


def left_running(home: Path) -> list[str]:
    """Command lines of the processes that have this home in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # It ended meanwhile.
            continue
        if str(home) in line:
            found.append(line)
    return found


def put_on_path(folder: Path) -> str:
    """A PATH on which `answerable` and `python3` are the ones under test."""
    folder.mkdir()
    # The installed command and not the module: a gateway believes what its own command measures, and nothing else.
    installed = shlex.join(warm_starts.line(str(Path(sys.executable).with_name("answerable"))))
    for name, start in {"answerable": installed, "python3": sys.executable}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {start} "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for one test whose path leaves room for a Unix socket, which those of pytest do not always."""
    with TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def even(text: str) -> str:
    """The text without what differs from run to run or with the width: ids, times, digests, line breaks."""
    for pattern, name in (
        (r"\b(?=[0-9a-z]*[0-9])[0-9a-z]{26}\b", "ID"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| UTC)?", "TIME"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (r"\b[0-9a-f]{12}…", "DIGEST…"),
        (r"answerable-log-[0-9a-f]{16}", "LOG"),
        (r"session:[0-9a-z]{4}…", "SESSION"),
        (r"\d+\.\d s\b", "SECONDS"),
        (r"bytes \d+ to \d+", "BYTES"),
        (r"#\d+\b", "#N"),
        (r"\bentry \d+\b", "entry N"),
    ):
        text = re.sub(pattern, name, text)
    return " ".join(text.split())
