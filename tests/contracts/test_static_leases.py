"""Leases of static secrets, against a real HTTP server that knows one key and no leases."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx2
import pytest

from answerable.adapters.secret_store import Keyring, SealedSecretStore, StaticIssuer
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential
from answerable.core.lease.name import account_of
from answerable.errors import Refused
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SECRET-05")]
KEY = "sk-live-4242424242424242"


class OneKeyServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_let = self.headers.get("X-Key") == KEY
        self.send_response(200 if is_let else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), OneKeyServer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class StaticBench(IssuerBench):
    def __init__(self, folder: Path, address: str) -> None:
        entropy = SystemEntropy()
        keyring = Keyring(folder / "keyring", entropy)
        self.store = SealedSecretStore.open(folder / "secrets", keyring, clock=SystemClock(), entropy=entropy)
        for name in ("crm", "other"):
            self.store.put(name, KEY.encode(), kind="static", owner="ann", about="the CRM", rotate_days=30)
        self.issuer = StaticIssuer(
            store=self.store, clock=SystemClock(), secrets=("crm", "gone"), boundary="broker"
        )
        self.scope = freeze({"secret": "crm"})
        self.hostile = (
            freeze({"secret": "other"}),
            freeze({"secret": "../keyring"}),
            freeze({"secret": "gone"}),
        )
        self.address = address

    def now(self) -> UnixMillis:
        return SystemClock().now()

    async def use(self, credential: Credential, path: str = "/") -> bool:
        headers = {"X-Key": credential.secret.reveal("value")}
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.get(self.address + path, headers=headers)).status_code == 200

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        return {"another path": lambda credential: self.use(credential, "/other")}


class TestStatic(CredentialIssuerContract):
    """As little as can be promised, and no more than that."""

    @pytest.fixture
    def bench(self, tmp_path: Path, address: str) -> StaticBench:
        return StaticBench(tmp_path, address)

    async def test_what_stands_is_said_when_the_lease_ends_and_each_use_is_on_record(
        self, bench: StaticBench
    ):
        credential = await bench.issuer.issue(bench.order())
        revoked = await bench.issuer.revoke(credential.lease)
        assert "stands until it is rotated" in revoked.left[0]
        assert (await bench.issuer.revoke(credential.lease)).is_gone
        assert [use.by for use in bench.store.uses("crm")] == [account_of(credential.lease)]
        traits = bench.issuer.traits
        assert (traits.boundary, traits.revocable, traits.ends_by) == ("broker", False, "broker")

    async def test_what_was_rotated_or_retired_is_seen_by_the_next_lease(self, bench: StaticBench):
        bench.store.rotate("crm", b"the-next-value-of-it")
        credential = await bench.issuer.issue(bench.order())
        assert credential.secret.reveal("value") == "the-next-value-of-it"
        bench.store.retire("crm")
        with pytest.raises(Refused) as retired:
            await bench.issuer.issue(bench.order(2))
        assert retired.value.code == "secret.retired"
        await anyio.lowlevel.checkpoint()
