"""The note service of others, in a process of its own, and the package that brings its kind to the broker, installed as
an installer leaves it: what is under `examples/targets/notes`, as it stands."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from tests.worlds.up import SOURCES, WAIT_SECONDS_MAX, environment

PROJECT = Path(__file__).parents[2] / "examples/targets/notes"
TARGET = """\
kind = "notes"
port = {port}
password = "file:password"
"""


class Notes:
    """root: a folder of its own. path: where imports find the package. password: of the broker's own account."""

    def __init__(self, root: Path) -> None:
        self.password = secrets.token_urlsafe(24)
        root.mkdir()
        self.path = os.pathsep.join((str(root / "installed"), str(PROJECT / "src")))
        self._install(root / "installed")
        (root / "password").write_text(self.password)
        line = [sys.executable, "-m", "answerable_notes.note_server", str(root)]
        found = f"{SOURCES}{os.pathsep}{PROJECT / 'src'}"
        self._process = subprocess.Popen(line, env=environment() | {"PYTHONPATH": found})
        self._place = root / "port"

    @staticmethod
    def _install(folder: Path) -> None:
        project: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
        name, version = project["name"], project["version"]
        about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        for group, entries in project["entry-points"].items():
            lines = [f"[{group}]", *(f"{kind} = {place}" for kind, place in entries.items())]
            (about / "entry_points.txt").write_text("\n".join(lines) + "\n")

    def beside(self, environment: dict[str, str]) -> dict[str, str]:
        """The environment of a server that finds the package, too."""
        paths = environment.get("PYTHONPATH", str(SOURCES))
        return environment | {"PYTHONPATH": f"{paths}{os.pathsep}{self.path}"}

    @property
    def port(self) -> int:
        """Wait until it listens."""
        give_up = time.monotonic() + WAIT_SECONDS_MAX
        while not self._place.exists():
            assert time.monotonic() < give_up, "waited in vain for the note service"
            time.sleep(0.02)
        return int(self._place.read_text())

    def accounts(self) -> frozenset[str]:
        """The accounts that there are, beside the broker's own."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS_MAX) as connection,
            connection.makefile("rw") as line,
        ):
            for asked in ({"login": "admin", "password": self.password}, {"do": "list"}):
                line.write(json.dumps(asked) + "\n")
                line.flush()
                said = json.loads(line.readline())
        return frozenset(said["ok"])

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
