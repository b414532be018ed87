"""What the servers of databases of tests have in common: a folder, a port, the user that they run as, and their end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import Signals
from typing import ClassVar, TypeVar

from tests.stand_ins.own_server import kept_port
from tests.stand_ins.session_servers import environment_of, folder_of_run

Server = TypeVar("Server", bound="DatabaseServer")


class DatabaseServer(ABC):
    """Runs as `nobody` where we are root, which such servers want. crash: the signal that ends it at once."""

    crash: ClassVar[Signals]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = kept_port(folder)
        self._user: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = nobody.pw_uid
            shutil.chown(folder, nobody.pw_uid, nobody.pw_gid)

    @abstractmethod
    def begin(self) -> None:
        """Make and start it."""

    def keep(self, name: str, octets: bytes) -> Path:
        """A file that only the server reads."""
        path = self.folder / name
        path.write_bytes(octets)
        path.chmod(0o600)
        if self._user is not None:
            os.chown(path, self._user, -1)
        return path

    def stop(self) -> None:
        """At once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(self.crash)
            self._process.wait(timeout=30)
            self._process = None

    def _started(self, *command: str | Path, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                command, stdout=output, stderr=output, user=self._user, cwd=self.folder,
                env=environment_of(self.folder), start_new_session=True,
            )  # fmt: skip

    def _make(self, state: Path, *command: str | Path) -> None:
        """By a program of the server's, in a folder that is its."""
        if self._user is not None:
            os.chown(state, self._user, -1)
        done = subprocess.run(command, capture_output=True, user=self._user, cwd=self.folder, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:])


@contextmanager
def own_database(kind: str, at: Callable[[Path], Server]) -> Iterator[Server]:
    """A server that a test may stop, and change as it likes, of which nothing is left."""
    folder = Path(tempfile.mkdtemp(prefix=f"own-{kind}-", dir=folder_of_run()))
    folder.chmod(0o755)
    server = at(folder)
    try:
        server.begin()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
