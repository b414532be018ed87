"""Signing and revoking users of NATS, beside the bare signature and the bare change of the account's token.

`./dev bench leases_nats [--json] [--leases N]`. A server of its own is started. `signed`: where nothing can be revoked,
no server is asked, and bare is a key and a signature by nkeys. `revocable`: ours asks the server first whether this
lease was revoked before; bare revoking is to read the account's token, sign it anew with one user more, have the server
take it, and ask who is connected.
"""

from __future__ import annotations

import json
import os
import sys
import time
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import nkeys  # noqa: E402
from lease_course import in_turns, run  # noqa: E402
from nats.aio.client import Client  # noqa: E402

from answerable.adapters.nats_users import NatsIssuer  # noqa: E402
from answerable.adapters.system import SystemClock  # noqa: E402
from answerable.core.lease.credential import Credential  # noqa: E402
from tests.stand_ins.nats_server import RunningNats, nats_server  # noqa: E402
from tests.worlds.nats_lease import issuer_of, order, user  # noqa: E402

PERMISSIONS = {"pub": {"allow": ["case.7.*", "ask.7", "nobody"]}, "sub": {"allow": ["_INBOX.ans_bare.>"]}}


def part(octets: bytes) -> str:
    return urlsafe_b64encode(octets).decode().rstrip("=")


def bare_token(claims: dict[str, Any], pair: Any) -> str:
    """By nkeys and the standard library."""
    whole = {**claims, "iss": bytes(pair.public_key).decode()}
    whole["jti"] = b32encode(sha256(json.dumps(whole).encode()).digest()).decode().rstrip("=")
    header = json.dumps({"alg": "ed25519-nkey", "typ": "JWT"}).encode()
    signed = f"{part(header)}.{part(json.dumps(whole).encode())}"
    return f"{signed}.{part(bytes(pair.sign(signed.encode())))}"


class Bare:
    """What an administrator's own program would do."""

    def __init__(self, server: RunningNats, client: Client) -> None:
        self._server = server
        self._client = client
        self._account = nkeys.from_seed(bytearray(server.account.seed.encode()))
        self._operator = nkeys.from_seed(bytearray(server.operator.seed.encode()))
        self._user = ""

    async def issue(self, number: int) -> None:
        pair = nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)))
        self._user = bytes(pair.public_key).decode()
        now = int(time.time())
        own = {**PERMISSIONS, "type": "user", "version": 2, "subs": 1, "data": -1, "payload": -1}
        claims = {"exp": now + 60, "iat": now, "name": "ans_bare", "sub": self._user, "nats": own}
        bare_token(claims, self._account)

    async def revoke(self, number: int) -> None:
        account = self._server.account.public
        claims = await self._claims()
        claims["nats"].setdefault("revocations", {})[self._user] = int(time.time())
        claims["iat"] += 1
        changed = bare_token(claims, self._operator).encode()
        await self._client.request("$SYS.REQ.CLAIMS.UPDATE", changed, timeout=5)
        wanted = json.dumps({"auth": True, "acc": account, "user": self._user}).encode()
        await self._client.request("$SYS.REQ.SERVER.PING.CONNZ", wanted, timeout=5)

    async def _claims(self) -> dict[str, Any]:
        subject = f"$SYS.REQ.ACCOUNT.{self._server.account.public}.CLAIMS.LOOKUP"
        body = (await self._client.request(subject, b"", timeout=5)).data.decode().split(".")[1]
        found: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return found


async def signed(server: RunningNats, bare: Bare, count: int) -> dict[str, object]:
    """Of an issuer that can revoke nothing and asks nobody."""
    issuer = NatsIssuer(
        account=server.account.public, key_of=lambda: server.account.seed, clock=SystemClock()
    )
    return await in_turns(count, issue=(bare.issue, lambda _: issuer.issue(order())))


async def revocable(server: RunningNats, bare: Bare, count: int) -> dict[str, object]:
    issuer = issuer_of(server)
    made: dict[int, Credential] = {}

    async def issue(number: int) -> None:
        made[number] = await issuer.issue(order())

    figures = await in_turns(
        count,
        issue=(bare.issue, issue),
        revoke=(bare.revoke, lambda number: issuer.revoke(made[number].lease)),
    )
    await issuer.close()
    return figures


async def measured(count: int) -> dict[str, Any]:
    with nats_server() as server:
        async with user(server, system=True) as client:
            bare = Bare(server, client)
            return {
                "server": str(client.connected_server_version),
                "signed": await signed(server, bare, count),
                "revocable": await revocable(server, bare, count),
            }


def main() -> None:
    run(__doc__, measured)


if __name__ == "__main__":
    main()
