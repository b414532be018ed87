"""Reader during load: 64 readers and one hostile agent, beside everything that is prepared, used and ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx2
import pytest

from answerable.sdk.proof_auth import SignatureAuth
from tests.seams.feature import Feature
from tests.seams.features import column, prepare, still
from tests.seams.life import Life, life
from tests.worlds.gateway import modern_headers

pytestmark = pytest.mark.requirement("SEAM-10")
READERS = 64
PATHS = (
    "/v1/status",
    "/v1/approvals?limit=100",
    "/v1/mandates?limit=100",
    "/v1/timeline/worker",
    "/v1/holds",
    "/v1/leases",
)
HOSTILE_BYTES = 200_000
TURN_SECONDS = 2.0
"""Between two pages of one reader, as a console asks."""


class Load:
    """Readers at the control API, and an agent with a key and no mandate that sends what is dear to parse."""

    def __init__(self, one: Life) -> None:
        self.life = one
        self.done = threading.Event()
        self.read = 0
        self.threads = [threading.Thread(target=self.reads, args=(n,)) for n in range(READERS)]
        self.threads.append(threading.Thread(target=self.attacks))

    def __enter__(self) -> Load:
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for one in self.threads:
            one.join()

    def reads(self, number: int) -> None:
        transport = httpx2.HTTPTransport(uds=self.life.home.socket("control"), trust_env=False)
        with httpx2.Client(transport=transport, base_url="http://localhost", timeout=60) as client:
            while not self.done.wait(TURN_SECONDS):
                client.get(PATHS[number % len(PATHS)])
                self.read += 1

    def attacks(self) -> None:
        body = (
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{'
            + b",".join(b'"m%d":1' % n for n in range(HOSTILE_BYTES // 9))
            + b"}}"
        )
        headers = {
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in modern_headers("ping").items()},
        }
        transport = httpx2.HTTPTransport(uds=self.life.home.socket("gateway"), trust_env=False)
        auth = SignatureAuth(self.life.key("hostile"))
        with httpx2.Client(transport=transport, base_url="http://localhost", timeout=60) as client:
            while not self.done.is_set():
                client.post("/mcp/bank", content=body, headers=headers, auth=auth)


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    with life() as one, Load(one) as load:
        prepare(one)
        assert load.read > READERS
        yield one


@column("reader during load")
def test_everything_holds_beside_readers_and_a_hostile_agent(lived: Life, row: Feature):
    still(lived, row)
