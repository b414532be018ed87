"""A real nginx in front of a few files, with the log that the page about attribution asks for."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.own_server import own_folder, started
from tests.stand_ins.ports import free_port

STARTED_SECONDS_MAX = 20
USERS = {"crm-bot": "canary-nginx-bot-19c2", "ann": "canary-nginx-ann-70f4"}
_PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_SERVER = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{}}
http {{
  {places}
  {shown}
  access_log combined.log combined;
  server {{
    listen 127.0.0.1:{port};
    root files;
    auth_basic cases;
    auth_basic_user_file users;
  }}
}}
"""


@dataclass(kw_only=True)
class RunningNginx:
    """shown: what the page says to set. Beside that log it writes one in the form `combined`."""

    folder: Path
    shown: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        (self.folder / "files/cases").mkdir(parents=True)
        (self.folder / "files/cases/7").write_text("seven")
        (self.folder / "users").write_text(
            "".join(f"{name}:{{PLAIN}}{word}\n" for name, word in USERS.items())
        )
        shown = re.sub(r"/var/log/nginx/", "", self.shown)
        places = " ".join(f"{one}_temp_path tmp-{one};" for one in _PLACES)
        (self.folder / "nginx.conf").write_text(_SERVER.format(places=places, shown=shown, port=self.port))
        for path in self.folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        self.process = started(
            ["nginx", "-e", "error.log", "-p", str(self.folder), "-c", "nginx.conf"], self.folder
        )
        deadline = time.monotonic() + STARTED_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.process.poll() is None, (self.folder / "output.txt").read_text()
            time.sleep(0.02)
        raise AssertionError("the server did not start in time")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def nginx_server(shown: str) -> Iterator[RunningNginx]:
    """Running, until the block ends; skips loudly where it is not installed."""
    if shutil.which("nginx") is None:
        skip_loudly("nginx", "apt-get install nginx-light", name="nginx")
    with own_folder() as folder:
        server = RunningNginx(folder=folder, shown=shown)
        try:
            server.start()
            yield server
        finally:
            server.stop()
