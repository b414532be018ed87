"""`./dev verifiers`: gets the programs of others by which tests/interop judges us; standard library only.

Promises: what is there is left alone; what cannot be had is named with what to do about it, and the rest goes on.
Exit status 1 says that something is missing: the tests that need it are skipped, and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import go_programs
import node_packages
import set_up
from go_programs import GO_SOURCES

APT_SECONDS_MAX = 300
# A mirror that does not answer is given up on; another apt-get is waited for.
APT_OPTIONS = ("-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1", "-o", "DPkg::Lock::Timeout=120")


@dataclass(frozen=True, kw_only=True)
class Program:
    """What one verifier is made of: Debian packages, and a path by which it is known to be there.

    name: as ANSWERABLE_REQUIRE asks for it. command: one that does as well, wherever it comes from.
    """

    name: str
    packages: tuple[str, ...]
    paths: tuple[str, ...]
    command: str = ""

    def is_here(self) -> bool:
        return bool(self.command and shutil.which(self.command)) or all(
            Path(path).exists() for path in self.paths
        )

    def advice(self) -> str:
        """What to run for it."""
        return f"./dev verifiers (as root), or apt-get install {' '.join(self.packages)}"


# tests/interop/go is compiled from what Debian packs, so that no Go module is downloaded.
GO = Program(
    name="go",
    packages=(
        "golang-go",
        "golang-golang-x-mod-dev",
        "golang-github-transparency-dev-formats-dev",
        "golang-github-transparency-dev-merkle-dev",
    ),
    paths=(
        "/usr/bin/go",
        f"{GO_SOURCES}/src/golang.org/x/mod/sumdb/tlog",
        f"{GO_SOURCES}/src/github.com/transparency-dev/formats/note",
        f"{GO_SOURCES}/src/github.com/transparency-dev/merkle/proof",
    ),
)
# tests/interop/go_spiffe: a workload that others' library makes.
GO_SPIFFE = Program(
    name="go-spiffe",
    packages=("golang-go", "golang-github-spiffe-go-spiffe-dev"),
    paths=("/usr/bin/go", f"{GO_SOURCES}/src/github.com/spiffe/go-spiffe/v2/workloadapi"),
)
GO_SPIFFE_LIBRARY = "github.com/spiffe/go-spiffe/v2"
GO_PROGRAMS = (
    ("go", GO, ""),
    ("go_spiffe", GO_SPIFFE, ""),
    ("go_federation", GO_SPIFFE, ""),
    ("go_workload_api", GO_SPIFFE, GO_SPIFFE_LIBRARY),
)
"""Below tests/interop: where their sources are, what they need, and the library within which one is compiled."""
SPICY = Program(name="litetlog", packages=("litetlog",), paths=("/usr/bin/spicy-litetlog",))
SIGSUM = Program(
    name="sigsum", packages=("sigsum-go",), paths=("/usr/bin/sigsum-witness", "/usr/bin/sigsum-key")
)
# A message broker, over which agents hand tasks on in tests/interop.
NATS = Program(name="nats-server", packages=("nats-server",), paths=("/usr/sbin/nats-server",))
# Only to install what node_packages lists, Node included.
NPM = Program(name="npm", packages=("npm",), paths=("/usr/bin/npm",), command="npm")
PROGRAMS = (GO, GO_SPIFFE, SPICY, SIGSUM, NATS, NPM)


def apt_get(*arguments: str) -> str:
    """Runs apt-get without questions; returns what went wrong, empty if nothing did."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            ["apt-get", "-qq", *APT_OPTIONS, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=APT_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"apt-get {arguments[0]} took more than {APT_SECONDS_MAX} s"
    return done.stderr.strip() if done.returncode else ""


def install_programs() -> bool:
    """Installs what is missing from Debian, as root; says what could not be had, and whether all is there."""
    missing = [program for program in PROGRAMS if not program.is_here()]
    if not missing:
        return True
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        for program in missing:
            set_up.say(f"dev: missing, and not to be had without apt-get and root: {program.advice()}")
        return False
    fault = apt_get("update")
    for program in missing:
        set_up.say(f"installing {' '.join(program.packages)}")
        fault = apt_get("install", "-y", "--no-install-recommends", *program.packages) or fault
        if not program.is_here():
            set_up.say(f"dev: could not install {' '.join(program.packages)}: {fault}")
    return all(program.is_here() for program in missing)


def make_environments() -> bool:
    """Makes the Python and Node environments of verifiers; says why if one cannot be, and goes on."""
    made = True
    steps: tuple[Callable[[], None], ...] = (
        partial(set_up.set_up, set_up.VERIFIERS),
        node_packages.set_up_all,
    )
    for make in steps:
        try:
            make()
        except set_up.SetUpError as error:
            set_up.say(f"dev: {error}")
            made = False
    return made


def compile_programs() -> bool:
    """Compiles those in Go that can be, so that no test has to; says why if one cannot be, and goes on."""
    made = True
    for name, needs, within in GO_PROGRAMS:
        if needs.is_here():
            try:
                go_programs.compiled(set_up.ROOT / "tests/interop" / name, needs.paths[0], within)
            except set_up.SetUpError as error:
                set_up.say(f"dev: {error}")
                made = False
    return made


def main() -> int:
    return 0 if all([install_programs(), make_environments(), compile_programs()]) else 1


if __name__ == "__main__":
    sys.exit(main())
