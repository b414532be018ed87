"""The client's side of proofs, against a real server on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import httpx2
import pytest

from answerable.adapters.uvicorn_front import FrontLimits, Listeners, serve
from answerable.errors import Unavailable
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.sdk.proof_auth import HANDSHAKE_BYTES_MAX, SessionAuth, SignatureAuth
from answerable.sdk.system_access import SystemAccess
from tests.probes.proof_door import ProofDoor
from tests.worlds.proof import ProofWorld

pytestmark = pytest.mark.anyio

BASE = "http://localhost"
LIMITS = ProofLimits(authorities=frozenset({"localhost"}))


class Bench:
    """A gateway with one door, whose verifier can be restarted, and clients on its Unix socket."""

    def __init__(self, path: Path) -> None:
        self.world = ProofWorld(limits=LIMITS)
        # Nobody is known by user id here: only what a client proves itself counts.
        self.world.registry.swap(replace(self.world.crm, unix_uids=()), self.world.pay)
        self.path = path
        self.door = ProofDoor(self.verifier())
        # The client's own time stands as still as the server's, a little behind it.
        self.client_world = SystemAccess(
            unix_seconds=lambda: self.world.clock.now() / 1000 - 5, monotonic=self.world.clock.monotonic
        )

    def verifier(self, **changes: int) -> CallerVerifier:
        return self.world.restarted(**changes)

    def client(self, auth: httpx2.Auth) -> httpx2.AsyncClient:
        transport = httpx2.AsyncHTTPTransport(uds=str(self.path))
        return httpx2.AsyncClient(transport=transport, base_url=BASE, auth=auth)

    def proofs(self) -> list[tuple[str, str]]:
        return [(said["agent"], said["proof"]) for said in self.door.seen]


@asynccontextmanager
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "s")
    started: asyncio.Future[Listeners] = asyncio.get_running_loop().create_future()
    stop = anyio.Event()
    serving = serve(
        made.door, uds=made.path, started=started.set_result, stop=stop, limits=FrontLimits(grace_seconds=1)
    )
    task = asyncio.create_task(serving)
    await started
    try:
        yield made
    finally:
        stop.set()
        await task


async def test_every_request_is_signed_get_and_delete_and_queries_included(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        auth = SignatureAuth(made.world.crm_key, mandate="m-7", world=made.client_world)
        async with made.client(auth) as client:
            answers = [
                await client.post("/mcp", content=b"{}"),
                await client.get("/mcp?cursor=a%20b&x=%C3%A9"),
                await client.request("DELETE", "/mcp"),
                await client.get(f"{BASE.upper().replace('HTTP', 'http')}/mcp"),
                await client.post("/mcp", json={"a": 1}, headers={"Answerable-Mandate": "m-8"}),
            ]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert [answer.json()["mandate"] for answer in answers] == ["m-7", "m-7", "m-7", "m-7", "m-8"]
        # The epoch was learnt from one refusal, not from five.
        assert made.door.refused == ["epoch"]


async def test_a_signer_follows_the_server_through_a_restart(tmp_path: Path) -> None:
    async with (
        bench(tmp_path) as made,
        made.client(SignatureAuth(made.world.pay_key, world=made.client_world)) as client,
    ):
        assert (await client.get("/")).status_code == 200
        made.door.verifier = made.verifier()
        assert (await client.get("/")).status_code == 200
        assert made.proofs() == [("pay", "signature")] * 2


async def test_a_refusal_for_any_other_reason_is_not_tried_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        stranger = ProofWorld(crm_key=made.world.pay_key).crm_key
        made.world.registry.swap(made.world.crm)
        async with made.client(SignatureAuth(stranger, world=made.client_world)) as client:
            assert (await client.get("/")).status_code == 401
        async with made.client(SessionAuth(stranger, world=made.client_world)) as client:
            assert (await client.get("/")).status_code == 401
        assert made.door.seen == []
        assert set(made.door.refused) == {"key"}


async def test_one_handshake_serves_many_requests_at_a_time(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        auth = SessionAuth(made.world.crm_key, mandate="m-1", world=made.client_world)
        async with made.client(auth) as client:
            answers = await asyncio.gather(*(client.post("/mcp", content=b"%d" % n) for n in range(60)))
        assert {answer.status_code for answer in answers} == {200}
        assert set(made.proofs()) == {("crm", "session_mac")}
        assert sorted(answer.json()["sequence"] for answer in answers) == list(range(1, 61))
        assert len({answer.json()["binding"] for answer in answers}) == 1
        assert made.door.refused == ["epoch"]


async def test_a_session_is_renewed_once_after_a_restart_even_by_many_at_a_time(tmp_path: Path) -> None:
    async with (
        bench(tmp_path) as made,
        made.client(SessionAuth(made.world.crm_key, world=made.client_world)) as client,
    ):
        await client.get("/")
        made.door.verifier = made.verifier()
        answers = await asyncio.gather(*(client.get(f"/{n}") for n in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["binding"] for answer in answers}) == 1


async def test_a_session_is_renewed_before_its_end(tmp_path: Path) -> None:
    async with (
        bench(tmp_path) as made,
        made.client(SessionAuth(made.world.crm_key, world=made.client_world)) as client,
    ):
        first = (await client.get("/")).json()["binding"]
        made.world.clock.advance(3560)
        assert (await client.get("/")).json()["binding"] == first
        made.world.clock.advance(20)
        assert (await client.get("/")).json()["binding"] != first
        assert made.door.refused == ["epoch"]


async def test_without_sessions_every_request_is_signed(tmp_path: Path) -> None:
    async with (
        bench(tmp_path) as made,
        made.client(SessionAuth(made.world.crm_key, world=made.client_world)) as client,
    ):
        made.door.sessions = False
        assert [(await client.get("/")).status_code for _ in range(3)] == [200] * 3
        assert made.proofs() == [("crm", "signature")] * 3


async def test_an_agent_that_is_suspended_gets_no_further(tmp_path: Path) -> None:
    async with (
        bench(tmp_path) as made,
        made.client(SessionAuth(made.world.crm_key, world=made.client_world)) as client,
    ):
        assert (await client.get("/")).status_code == 200
        made.world.registry.swap(replace(made.world.crm, status="suspended"))
        refused = await client.get("/")
        assert refused.status_code == 401
        assert 'step="agent"' in refused.headers["www-authenticate"]
        assert len(made.door.seen) == 1


async def test_the_blocking_client_proves_the_same_from_many_threads(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        auth = SessionAuth(made.world.crm_key, world=made.client_world)
        statuses: list[int] = []

        def call() -> None:
            transport = httpx2.HTTPTransport(uds=str(made.path))
            with httpx2.Client(transport=transport, base_url=BASE, auth=auth) as client:
                statuses.extend(client.post("/mcp", content=b"{}").status_code for _ in range(5))

        await asyncio.gather(*(asyncio.to_thread(call) for _ in range(4)))
        assert statuses == [200] * 20
        assert set(made.proofs()) == {("crm", "session_mac")}
        assert len({said["binding"] for said in made.door.seen}) == 1


async def test_an_answer_that_makes_no_sense_is_said_so(tmp_path: Path) -> None:
    def nonsense(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=b'{"session":1}')

    auth = SessionAuth(ProofWorld().crm_key)
    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(nonsense), base_url=BASE, auth=auth
    ) as client:
        with pytest.raises(Unavailable) as caught:
            await client.get("/")
    assert caught.value.code == "session.answer"


async def test_an_answer_to_a_handshake_without_an_end_is_given_up() -> None:
    """Whatever listens there: a stranger's server cannot fill the memory of a client."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1_024
            yield bytes(1_024)

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=endless()))
    async with httpx2.AsyncClient(transport=transport, auth=SessionAuth(ProofWorld().crm_key)) as client:
        with pytest.raises(Unavailable, match=f"more than {HANDSHAKE_BYTES_MAX} bytes") as refused:
            await client.get("http://gateway.test/mcp/crm")
    assert refused.value.code == "session.answer"
    assert taken <= 2 * HANDSHAKE_BYTES_MAX
