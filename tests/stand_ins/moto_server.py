"""The AWS of moto, in a process of its own, with a bucket, a role and a broker's account on it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
from botocore.config import Config
from botocore.session import Session

from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.ports import free_port

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".dev/verifiers/moto/bin/python"
PAGE = ROOT / "docs/reference/adapters/aws.md"
STARTED_SECONDS_MAX = 60
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/support"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/billing"
BUCKET = "cases"
REGION = "eu-central-1"


class Moto:
    """client: of one service, as root or with the keys of a lease. cut: nobody gets through `endpoint` any more."""

    def __init__(self, port: int, skew: Path) -> None:
        self._direct = f"http://127.0.0.1:{port}"
        self._skew = skew
        self._session = Session()
        self._forwarder = Forwarder(port)
        self.endpoint = f"http://127.0.0.1:{self._forwarder.port}"
        self._clients: dict[tuple[str, ...], Any] = {}
        self.broker: dict[str, str] = {}

    def client(self, service: str, **keys: str) -> Any:
        keys = keys or {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
        known = (service, *keys.values())
        if known not in self._clients:
            self._clients[known] = self._made(service, keys)
        return self._clients[known]

    def _made(self, service: str, keys: dict[str, str]) -> Any:
        return self._session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self._direct,
            config=Config(retries={"total_max_attempts": 1}, proxies={}, max_pool_connections=1),
            **keys,
        )

    def turn(self, milliseconds: int) -> None:
        self._skew.write_text(str(milliseconds))

    def reset(self) -> None:
        """As new: roles, their rights, the broker's account with those of the page, and two cases in a bucket."""
        self.turn(0)
        self.start()
        self._post("reset-auth", b"inf")
        self._post("reset", b"")
        self._clients = {known: one for known, one in self._clients.items() if "root" in known}
        s3, iam = self.client("s3"), self.client("iam")
        for bucket in (BUCKET, "billing"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            for case in ("42/a", "43/a", "421/a"):
                s3.put_object(Bucket=bucket, Key=case, Body=b"text of the case")
        iam.create_user(UserName="broker")
        made = iam.create_access_key(UserName="broker")["AccessKey"]
        self.broker = {"access_key": made["AccessKeyId"], "secret_key": made["SecretAccessKey"]}
        iam.put_user_policy(UserName="broker", PolicyName="broker", PolicyDocument=documented("broker.json"))
        for role in ("support", "billing"):
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=documented("trust.json"))
            iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=all_of_s3())
        self._post("reset-auth", b"0")

    def stop(self) -> None:
        self._forwarder.close()

    def start(self) -> None:
        self._forwarder.open()

    def _post(self, path: str, body: bytes) -> None:
        httpx2.post(f"{self._direct}/moto-api/{path}", content=body, trust_env=False).raise_for_status()


class Forwarder:
    """A way to a port of this machine that can be closed: what was open breaks, and new connections are refused."""

    def __init__(self, to: int) -> None:
        self._to = to
        self.port = 0
        self._door: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.open()

    def open(self) -> None:
        if self._door is None:
            self._door = socket.create_server(("127.0.0.1", self.port), backlog=256)
            self.port = int(self._door.getsockname()[1])
            threading.Thread(target=self._accept, args=(self._door,), daemon=True).start()

    def close(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            door.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self, door: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = door.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open |= {near, far}
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := one.recv(65_536):
                other.sendall(octets)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)
        self._open.discard(one)


def documented(name: str) -> str:
    """One of the JSON documents that the page tells a newcomer to put in, as it stands there."""
    for block in PAGE.read_text().split("```json")[1:]:
        head, _, rest = block.partition("\n")
        if head.strip() == f"title={name}":
            return json.dumps(json.loads(rest.partition("```")[0]))
    raise AssertionError(f"the page has no {name}")


def all_of_s3() -> str:
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Moto]:
    """For as long as it runs; skips loudly where it is not installed."""
    if not PYTHON.exists():
        skip_loudly("moto", "./dev verifiers sets it up", name="moto")
    port, skew = free_port(), folder / "skew"
    skew.write_text("0")
    command = [
        str(PYTHON),
        "-W",
        "ignore",
        str(ROOT / "tests/stand_ins/moto_with_session_policies.py"),
        str(port),
        str(skew),
    ]
    environment = {**os.environ, "MOTO_ALLOW_NONEXISTENT_REGION": "false"}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment, cwd=folder) as running:
        try:
            for _ in range(STARTED_SECONDS_MAX * 10):
                try:
                    httpx2.get(
                        f"http://127.0.0.1:{port}/moto-api/data.json", trust_env=False
                    ).raise_for_status()
                    break
                except httpx2.HTTPError:
                    assert running.poll() is None, "moto did not start"
                    time.sleep(0.1)
            else:
                raise AssertionError("moto did not answer in time")
            found = Moto(port, skew)
            yield found
            found.stop()
        finally:
            running.terminate()
