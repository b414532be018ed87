"""RabbitMQ servers of the session, with the management plugin and an epmd of their own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
from aiormq.exceptions import AMQPError

from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.own_server import kept_port, made_certificate, owner, started
from tests.stand_ins.session_servers import lent

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The one that Debian puts on the path insists on root and on a user of the system's."""
STARTED_SECONDS_MAX = 120
ADMIN = "answerable"
ADMIN_PASSWORD = "canary-rabbitmq-admin-31c9"
OPERATOR = "operator"
OPERATOR_PASSWORD = "canary-rabbitmq-operator-9a02"
VHOST = "cases"
SETUP = (("PUT", f"/api/users/{ADMIN}", {"password": ADMIN_PASSWORD, "tags": "administrator"}),)
"""As the page of this kind says it; a test holds the page to it."""
HOUSE: tuple[tuple[str, str, object], ...] = (
    ("PUT", f"/api/vhosts/{VHOST}", {}),
    ("PUT", f"/api/permissions/{VHOST}/{OPERATOR}", {"configure": ".*", "write": ".*", "read": ".*"}),
    *(
        ("PUT", f"/api/exchanges/{VHOST}/{name}", {"type": kind, "durable": True})
        for name, kind in (("cases", "topic"), ("others", "topic"), ("log", "direct"))
    ),
    *(("PUT", f"/api/queues/{VHOST}/{name}", {"durable": True}) for name in ("inbox", "others")),
    ("POST", f"/api/bindings/{VHOST}/e/cases/q/inbox", {"routing_key": "case.7.#"}),
)


@dataclass(kw_only=True)
class RunningRabbit:
    """One server."""

    folder: Path
    port: int = field(init=False)
    management_port: int = field(init=False)
    dist_port: int = field(init=False)
    epmd_port: int = field(init=False)
    tls_port: int = field(init=False)
    management_tls_port: int = field(init=False)
    with_tls: bool = False
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        for name in ("port", "management_port", "dist_port", "epmd_port", "tls_port", "management_tls_port"):
            setattr(self, name, kept_port(self.folder, name))

    def begin(self) -> None:
        """As a server of the session begins."""
        shutil.chown(self.folder, *owner())
        self.start()

    def clean(self) -> None:
        """As a new one is: no virtual hosts and no accounts of before."""
        for path, kept in (("/api/vhosts", "/"), ("/api/users", OPERATOR)):
            found = self.as_operator("GET", path)
            found.raise_for_status()
            for name in {one["name"] for one in found.json()} - {kept}:
                self.as_operator("DELETE", f"{path}/{quote(name, safe='')}").raise_for_status()
        self.furnish()

    def furnish(self) -> None:
        """Its administrator, and a virtual host with queues."""
        for method, path, content in (*SETUP, *HOUSE):
            self.as_operator(method, path, content).raise_for_status()

    @property
    def address(self) -> str:
        return f"amqp://127.0.0.1:{self.port}"

    @property
    def management(self) -> str:
        return f"http://127.0.0.1:{self.management_port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"answerable{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Two schedulers that sleep when there is nothing to do: machines of tests are small.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def start(self, *, furnishes: bool = True) -> None:
        """furnishes: give it its accounts and queues anew."""
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.management_port}\n"
            "log.file.level = debug\nloopback_users = none\n"
            f"default_user = {OPERATOR}\ndefault_pass = {OPERATOR_PASSWORD}\n"
            + (self._tls_options() if self.with_tls else "")
        )
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")
        for name in ("rabbitmq.conf", "plugins"):
            shutil.chown(self.folder / name, *owner())
        self.process = started([str(PROGRAM)], self.folder, self.environment)
        self._group.write_text(str(self.process.pid))
        deadline = time.monotonic() + STARTED_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.HTTPError):
                self.as_operator("GET", "/api/overview").raise_for_status()
                break
            assert self.process.poll() is None, (self.folder / "output.txt").read_text()
            time.sleep(0.1)
        else:
            raise AssertionError("the server did not start in time")
        if furnishes:
            self.furnish()

    def _tls_options(self) -> str:
        if not (self.folder / "cert.pem").exists():
            made_certificate(self.folder)
        lines = [f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}"]
        lines += [f"management.ssl.ip = 127.0.0.1\nmanagement.ssl.port = {self.management_tls_port}"]
        for prefix in ("ssl_options", "management.ssl"):
            lines += [
                f"{prefix}.certfile = {self.folder}/cert.pem",
                f"{prefix}.keyfile = {self.folder}/key.pem",
            ]
            lines += [f"{prefix}.cacertfile = {self.folder}/cert.pem"]
        return "\n".join(lines) + "\n"

    @property
    def _group(self) -> Path:
        """What says which processes are this server, also to whoever did not start it."""
        return self.folder / "group"

    def stop(self) -> None:
        """The server at once, as in a crash, with what it started."""
        if not self._group.exists():
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(self._group.read_text()), signal.SIGKILL)
        self._group.unlink()
        if self.process is not None:
            self.process.wait()
        deadline = time.monotonic() + STARTED_SECONDS_MAX
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                socket.create_connection(("127.0.0.1", self.port)).close()
                time.sleep(0.02)

    def asked_by(self, account: str, password: str, path: str) -> bool:
        """Whether the management API answers this account."""
        answer = httpx2.get(self.management + path, auth=(account, password), trust_env=False, timeout=10)
        return answer.is_success

    def as_operator(self, method: str, path: str, content: object = None) -> httpx2.Response:
        """Ask the management API under an operator's account."""
        return httpx2.request(
            method,
            self.management + path,
            json=content if content is not None or method != "PUT" else {},
            auth=(OPERATOR, OPERATOR_PASSWORD),
            trust_env=False,
            timeout=10,
        )


@contextlib.contextmanager
def session_rabbitmq() -> Iterator[RunningRabbit]:
    """A server of the session with TLS, with accounts and a virtual host of one's own, which a test may stop and start:
    a first start takes four seconds of CPU."""
    if not PROGRAM.exists():
        skip_loudly("rabbitmq-server", "apt-get install rabbitmq-server", name="rabbitmq-server")
    with lent("rabbitmq", lambda folder: RunningRabbit(folder=folder, with_tls=True)) as server:
        yield server


@contextlib.contextmanager
def without_the_librarys_leftovers() -> Iterator[None]:
    """aiormq leaves tasks behind that nobody awaits when a server closes a channel in the middle of a question; what
    these say was told to whoever asked, and is no failure of a test. Inside a running loop."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def heard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        is_left_over = "never retrieved" in context.get("message", "")
        if is_left_over and isinstance(context.get("exception"), AMQPError):
            return
        if before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(heard)
    try:
        yield
    finally:
        gc.collect()
        loop.set_exception_handler(before)
