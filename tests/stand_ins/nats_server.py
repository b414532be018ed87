"""A real NATS server with an operator, a system account and one account, in a process and a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nkeys

from answerable.adapters.nats_users.tokens import SigningKey, signing_key, token
from answerable.core.canonical import JSONValue
from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.own_server import own_folder, owner, started
from tests.stand_ins.ports import free_port

STARTED_SECONDS_MAX = 20
NO_LIMITS: dict[str, JSONValue] = {
    **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1),
    "wildcards": True,
}


def new_key(kind: str) -> SigningKey:
    """A key of an operator (O), an account (A) or a user (U)."""
    prefix = {"O": nkeys.PREFIX_BYTE_OPERATOR, "A": nkeys.PREFIX_BYTE_ACCOUNT, "U": nkeys.PREFIX_BYTE_USER}[
        kind
    ]
    return signing_key(nkeys.encode_seed(os.urandom(32), prefix).decode(), of=kind)


def credentials(user_token: str, key: SigningKey) -> str:
    """As `nsc generate creds` writes it."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{key.seed}\n------END USER NKEY SEED------\n"
    )


@dataclass(kw_only=True)
class RunningNats:
    """One server. resolver: `full`, which takes tokens of accounts while it runs, or `memory`."""

    folder: Path
    resolver: str = "full"
    options: str = ""
    port: int = field(default_factory=free_port)
    operator: SigningKey = field(default_factory=lambda: new_key("O"))
    system: SigningKey = field(default_factory=lambda: new_key("A"))
    account: SigningKey = field(default_factory=lambda: new_key("A"))
    signing: SigningKey = field(default_factory=lambda: new_key("A"))
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def account_token(self, **more: JSONValue) -> str:
        """A token of the account as its administrator would make it."""
        own: dict[str, JSONValue] = {
            "type": "account",
            "version": 2,
            "limits": NO_LIMITS,
            "signing_keys": [self.signing.public],
            **more,
        }
        now = int(time.time())
        return token({"iat": now, "name": "cases", "sub": self.account.public, "nats": own}, self.operator)

    def user(self, of: SigningKey, name: str, **permissions: JSONValue) -> tuple[str, SigningKey]:
        """Token and key of a user without an end."""
        key = new_key("U")
        own: dict[str, JSONValue] = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
        claims: dict[str, JSONValue] = {
            "iat": int(time.time()),
            "name": name,
            "sub": key.public,
            "nats": {**own, **permissions},
        }
        return token(claims, of), key

    def broker_credentials(self) -> str:
        """Of the broker's own user of the system account, with what the page says it needs."""
        return credentials(
            *self.user(self.system, "answerable-broker", **broker_permissions(self.account.public))
        )

    def start(self) -> None:
        now = int(time.time())
        operator: dict[str, JSONValue] = {
            "type": "operator",
            "version": 2,
            "system_account": self.system.public,
        }
        operator_token = token(
            {"iat": now, "name": "test", "sub": self.operator.public, "nats": operator}, self.operator
        )
        system: dict[str, JSONValue] = {"type": "account", "version": 2, "limits": NO_LIMITS}
        system_token = token(
            {"iat": now, "name": "SYS", "sub": self.system.public, "nats": system}, self.operator
        )
        store = '{ type: full, dir: "./jwt", allow_delete: false, interval: "2m" }'
        configuration = self.folder / "nats.conf"
        if not configuration.exists():
            configuration.write_text(
                f'listen: 127.0.0.1:{self.port}\nlog_file: "./nats.log"\ndebug: true\n'
                f"operator: {operator_token}\nsystem_account: {self.system.public}\n"
                f"resolver: {store if self.resolver == 'full' else 'MEMORY'}\n"
                f"resolver_preload: {{\n {self.system.public}: {system_token}\n"
                f" {self.account.public}: {self.account_token()}\n}}\n{self.options}"
            )
            shutil.chown(configuration, *owner())
        self.process = started(["nats-server", "-c", str(configuration)], self.folder)
        deadline = time.monotonic() + STARTED_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.process.poll() is None, (self.folder / "output.txt").read_text()
            time.sleep(0.02)
        raise AssertionError("the server did not start in time")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def broker_permissions(account: str) -> dict[str, JSONValue]:
    """What the broker's user of the system account may do."""
    subjects: list[JSONValue] = [
        f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP",
        "$SYS.REQ.CLAIMS.UPDATE",
        "$SYS.REQ.SERVER.PING.CONNZ",
    ]
    inbox: list[JSONValue] = ["_INBOX.>"]
    return {"pub": {"allow": subjects}, "sub": {"allow": inbox}}


@contextlib.contextmanager
def nats_server(
    *,
    resolver: str = "full",
    options: str = "",
    like: RunningNats | None = None,
    prepared: Callable[[Path], None] | None = None,
) -> Iterator[RunningNats]:
    """Running, until the block ends; skips loudly where it is not installed.

    like: one whose keys it shares. prepared: puts into its folder what the options name."""
    if shutil.which("nats-server") is None:
        skip_loudly("nats-server", "apt-get install nats-server", name="nats-server")
    with own_folder() as folder:
        server = RunningNats(folder=folder, resolver=resolver, options=options)
        if like is not None:
            server.operator, server.system = like.operator, like.system
            server.account, server.signing = like.account, like.signing
        if prepared is not None:
            prepared(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
