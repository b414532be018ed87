"""Programs in Go by which tests/interop judges us, compiled from Debian's sources once for each state of theirs.

Nothing is downloaded, and what the compiler keeps is below `.dev`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

from set_up import DEV, SetUpError

GO_SOURCES = "/usr/share/gocode"
FLAGS = ("-gcflags=all=-N -l -dwarf=false", "-ldflags=-s -w")
"""Nothing is made faster and nothing is debugged: that was a third of what compiling took."""
BUILD_SECONDS_MAX = 300


def compiled(sources: Path, compiler: str, within: str = "") -> Path:
    """The program of these sources. within: a library whose internal packages it needs; it is compiled in a copy of
    that library then. Raises SetUpError with what the compiler said."""
    version = subprocess.run([compiler, "version"], capture_output=True, check=True).stdout
    digest = sha256(version + repr(FLAGS).encode())
    for source in sorted(sources.glob("*.go")):
        digest.update(source.read_bytes())
    folder = DEV / "verifiers" / f"go-{digest.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    built = folder / "judge"
    with (folder / "lock").open("w") as lock:  # Test workers start together.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            _compile(sources, compiler, within, folder).rename(built)
    return built


def _compile(sources: Path, compiler: str, within: str, folder: Path) -> Path:
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": GO_SOURCES,
        "GOCACHE": str(DEV / "cache/go"),
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
    }
    if within:
        sources = _copied_into(folder / "sources", sources, within)
        environment["GOPATH"] = f"{folder / 'sources'}:{GO_SOURCES}"
    partial = folder / "partial"
    done = subprocess.run(
        [compiler, "build", *FLAGS, "-o", str(partial), "."],
        cwd=sources,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise SetUpError(f"cannot compile {sources.name}: {done.stderr.strip()}")
    return partial


def _copied_into(place: Path, sources: Path, library: str) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    copy = place / "src" / library
    # With its go.mod, by which the compiler finds what it imports as a version.
    shutil.copytree((Path(GO_SOURCES) / "src" / library).parent, copy.parent)
    shutil.copytree(sources, copy / sources.name)
    return copy / sources.name
