"""A copy of the checkout in which one module at a time is another, with an environment whose programs run the copy.

What people work on is never changed, and whatever a test starts, with whatever variables, runs the changed module.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

from imports import ROOT

COPIES = ROOT / ".dev/mutants"
COPIES_MAX = 16


class Copy:
    """One that no other run uses, or that at `root`. Raises SystemExit where all are in use."""

    def __init__(self, root: Path | None = None) -> None:
        self.root, self._lock = _free() if root is None else _locked(root)
        self._bring_up_to_date()
        self.python = str(self.root / ".dev/venv/bin/python")

    def change(self, path: Path, text: str) -> None:
        """path: of a module, in the checkout."""
        target = self.root / path.relative_to(ROOT)
        # What an earlier change of the same length and second was compiled to would be taken for this one.
        for compiled in target.parent.glob(f"__pycache__/{target.stem}.*.pyc"):
            compiled.unlink()
        target.write_text(text, encoding="utf-8")

    def restore(self, path: Path) -> None:
        """As it is in the checkout."""
        shutil.copy2(path, self.root / path.relative_to(ROOT))

    def _bring_up_to_date(self) -> None:
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        told = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
        wanted = {name for name in told.decode().split("\0") if name and (ROOT / name).is_file()}
        for name in wanted:
            source, target = ROOT / name, self.root / name
            if not target.exists() or _stamp(target) != _stamp(source):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        for path in self.root.rglob("*.py"):
            name = str(path.relative_to(self.root))
            if not name.startswith(".dev/") and name not in wanted:
                path.unlink()
        self._make_environment()

    def _make_environment(self) -> None:
        """Links to all that is in ours, but for what names the checkout."""
        shutil.rmtree(self.root / ".dev", ignore_errors=True)
        dev, ours = self.root / ".dev", Path(sys.prefix)
        packages = Path(os.path.relpath(next(ours.glob("lib/python3*/site-packages")), ours))
        (dev / "venv" / packages).mkdir(parents=True)
        (dev / "venv/bin").mkdir()
        (dev / "cache").mkdir()
        for one in (ROOT / ".dev").iterdir():
            if one.name not in ("venv", "cache", "mutants", "native"):
                (dev / one.name).symlink_to(one)
        shutil.copy(ours / "pyvenv.cfg", dev / "venv")
        for one in (ours / packages).iterdir():
            target = dev / "venv" / packages / one.name
            if one.suffix == ".pth" and "answerable" in one.name:
                target.write_text(f"{self.root}/src\n")
            else:
                target.symlink_to(one)
        for one in (ours / "bin").iterdir():
            target = dev / "venv/bin" / one.name
            if one.is_symlink():
                target.symlink_to(one.readlink())
            elif (octets := one.read_bytes()).startswith(f"#!{ours}/".encode()):
                target.write_bytes(octets.replace(str(ours).encode(), str(dev / "venv").encode(), 1))
                target.chmod(0o755)
            else:
                target.symlink_to(one)


def _free() -> tuple[Path, IO[bytes]]:
    for number in range(1, COPIES_MAX + 1):
        with contextlib.suppress(BlockingIOError):
            return _locked(COPIES / str(number))
    raise SystemExit(f"{COPIES_MAX} copies of the checkout are in use: end other runs first")


def _locked(root: Path) -> tuple[Path, IO[bytes]]:
    """Raises BlockingIOError where another run has it."""
    root.mkdir(parents=True, exist_ok=True)
    lock = root.with_name(f"{root.name}.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise
    return root, lock


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
