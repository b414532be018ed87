"""Programs of others that npm installs, under .dev/verifiers, each from its lock with hashes; standard library only.

With --lock it renews the locks instead.

Promises: nothing is installed whose SHA-512 is not in the lock, and no package runs a script of its own while it is
installed. Node itself is one of the packages, so that the machine's may be old. An interrupted run leaves no stamp.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import set_up

NPM_SECONDS_MAX = 600
RELEASE_DELAY = timedelta(days=7)
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class NodePackages:
    """sources: the folder with package.json and its lock. script: the program, below node_modules. runs: Node runs it;
    else a browser does."""

    path: str
    sources: str
    script: str
    runs: bool = True

    @property
    def folder(self) -> Path:
        return set_up.DEV / self.path

    @property
    def stamp(self) -> Path:
        return set_up.DEV / "stamps" / self.path.replace("/", "-")

    @property
    def node(self) -> Path:
        machine = _MACHINES.get(platform.machine(), platform.machine())
        return self.folder / "node_modules" / f"node-linux-{machine}" / "bin" / "node"

    def command(self) -> tuple[str, str]:
        """How to run it."""
        return str(self.node), str(self.folder / "node_modules" / self.script)

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in ("package.json", "package-lock.json"):
            digest.update((set_up.ROOT / self.sources / name).read_bytes())
        return f"{set_up.GENERATION} {set_up.ROOT} {digest.hexdigest()}\n"

    def is_ready(self) -> bool:
        try:
            made = self.node if self.runs else self.folder / "node_modules" / self.script
            return made.exists() and self.stamp.read_text() == self.fingerprint()
        except FileNotFoundError:
            return False


MCP_CONFORMANCE = NodePackages(
    path="verifiers/mcp_conformance",
    sources="environments/mcp_conformance",
    script="@modelcontextprotocol/conformance/dist/index.js",
)
# A library: tests/oidc_provider.mjs is the program.
OIDC_PROVIDER = NodePackages(
    path="verifiers/oidc_provider",
    sources="environments/oidc_provider",
    script="oidc-provider/lib/index.js",
)
# Judges pages: tests/browser puts it into them.
AXE = NodePackages(path="verifiers/axe", sources="environments/axe", script="axe-core/axe.min.js", runs=False)
ALL = (MCP_CONFORMANCE, OIDC_PROVIDER, AXE)


def install(packages: NodePackages) -> None:
    """Fills the folder from nothing. Raises SetUpError, which says what to do."""
    npm = shutil.which("npm")
    if npm is None:
        raise set_up.SetUpError(
            f"{packages.path} needs npm: ./dev verifiers (as root), or apt-get install npm"
        )
    set_up.say(f"setting up .dev/{packages.path} from {packages.sources}/package-lock.json")
    started = time.monotonic()
    packages.stamp.unlink(missing_ok=True)
    shutil.rmtree(packages.folder, ignore_errors=True)
    packages.folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(set_up.ROOT / packages.sources / name, packages.folder / name)
    fault = _npm(npm, packages.folder, "ci")
    if not fault and packages.runs and not packages.node.exists():
        fault = f"there is no Node for {platform.machine()} in its lock"
    if fault:
        raise set_up.SetUpError(f"npm could not install {packages.path}: {fault}")
    packages.stamp.parent.mkdir(exist_ok=True)
    packages.stamp.write_text(packages.fingerprint())
    set_up.say(f"  ready in {time.monotonic() - started:.1f} s")


def _npm(npm: str, folder: Path, *arguments: str) -> str:
    """What went wrong; empty if nothing did."""
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    try:
        done = subprocess.run(
            [npm, *arguments, *quiet],
            cwd=folder,
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {NPM_SECONDS_MAX} s"
    return done.stderr.strip() or f"exit status {done.returncode}" if done.returncode else ""


def set_up_all() -> None:
    """Installs what is missing. Raises SetUpError."""
    if all(packages.is_ready() for packages in ALL):
        return
    with set_up.only_run():
        for packages in ALL:
            if not packages.is_ready():
                install(packages)


def renew_locks() -> None:
    """Resolves every lock anew, without what is younger than the delay. Raises SetUpError."""
    npm = shutil.which("npm")
    if npm is None:
        raise set_up.SetUpError("renewing the locks of Node packages needs npm: apt-get install npm")
    before = (datetime.now(UTC) - RELEASE_DELAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    for packages in ALL:
        sources = set_up.ROOT / packages.sources
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(sources / "package.json", folder)
            # Without the address of every archive, so that everybody's own registry serves it.
            how = ("--package-lock-only", "--omit-lockfile-registry-resolved", f"--before={before}")
            fault = _npm(npm, Path(folder), "install", *how)
            if fault:
                raise set_up.SetUpError(f"npm could not renew the lock of {packages.sources}: {fault}")
            shutil.copy(Path(folder) / "package-lock.json", sources)
        set_up.say(f"renewed {packages.sources}/package-lock.json")


def main() -> int:
    try:
        renew_locks() if "--lock" in sys.argv[1:] else set_up_all()
    except set_up.SetUpError as error:
        set_up.say(f"dev: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
