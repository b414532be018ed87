"""Which test files need not run again here: those that passed with all that they import as it is now.

A file counts as unchanged while every module that its imports reach, whatever lies under `src` that is no Python, what
all tests share, the lock and the Python are byte for byte what they were when it last passed whole. A test that reads
other files of the checkout names `__file__` somewhere, and always runs. `.ci/run` never asks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from imports import Imports

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".dev/cache/passed.json"
SHARED = ("requirements.lock", "pyproject.toml", "tests/conftest.py")


class Unchanged:
    """The checkout as it is now, and what passed before. given: options of the run, which are part of what passed."""

    def __init__(self, given: Iterable[str]) -> None:
        self._given = " ".join(given)
        self._passed: dict[str, str] = json.loads(STATE.read_text()) if STATE.exists() else {}
        self._digests: dict[str, str] = {}
        self._imports = Imports()

    def left(self, files: Iterable[str]) -> list[str]:
        """Those of the files that have to run."""
        for file in files:
            self._digests[file] = self._digest(file)
        return [
            file for file, digest in self._digests.items() if not digest or self._passed.get(file) != digest
        ]

    def keep(self, clean: Iterable[str], unclean: Iterable[str]) -> None:
        """For the next run. clean: files of which every test passed."""
        for file in unclean:
            self._passed.pop(file, None)
        self._passed.update({file: self._digests[file] for file in clean if self._digests.get(file)})
        STATE.parent.mkdir(parents=True, exist_ok=True)
        STATE.write_text(json.dumps(self._passed))

    @cached_property
    def _shared(self) -> bytes:
        """Digest of what belongs to every test."""
        digest = sha256(f"{sys.version} {self._given}".encode())
        others = [
            one for one in (ROOT / "src").rglob("*") if one.is_file() and one.suffix not in (".py", ".pyc")
        ]
        for path in [*(ROOT / one for one in SHARED), *sorted(others)]:
            digest.update(path.read_bytes())
        return digest.digest()

    def _digest(self, file: str) -> str:
        """Of all that this file runs; empty where that cannot be told from its imports."""
        reached = self._imports.reached(".".join(Path(file).with_suffix("").parts))
        digest = sha256(self._shared)
        for one in sorted(reached):
            octets = self._imports.read(one)
            if one.startswith("tests.") and b"__file__" in octets:
                return ""
            digest.update(one.encode() + b"\0" + sha256(octets).digest())
        return digest.hexdigest()
