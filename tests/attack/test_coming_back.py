"""Those who want an identity back that somebody ended: by an older copy of the registers, and by lies in between."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from answerable.adapters.uvicorn_front import serve
from answerable.apps.sidecar.keeping import UNKNOWN
from answerable.core.ledger.tags import Tag
from answerable.flows.revocation.end_instance import end_instance
from answerable.sdk.gateway_address import open_client
from tests.worlds.enrolment import UNIX, Served, fresh_key, served, signed_body
from tests.worlds.gateway import HERE
from tests.worlds.sidecar import beside_agent
from tests.worlds.up import REGISTERS, WAIT_SECONDS_MAX, Attached, house, registry

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's"),
]
MAIN = HERE / "system" / "sidecar_main.py"
REFUSAL = {"status": 401, "detail": "who are you?", "code": UNKNOWN, "branch": "unverified", "step": "key"}


def read(place: Path) -> str:
    return place.read_text()


async def asks_until(agent: Attached, said: Path, text: str) -> dict[str, Any]:
    """It asks for sub-agents until its sidecar has told this; the last answer."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            answer = await agent.asked("sub")
            if text in read(said):
                return answer
            await asyncio.sleep(0.1)


@pytest.mark.requirement("RESIL-14", "RESIL-06")
async def test_an_older_copy_of_the_registers_brings_nobody_back_whose_instance_was_ended_since(tmp_path):
    async with house(tmp_path) as home:
        await home.start()
        await asyncio.to_thread(home.apply, registry(helper=[[f"unix:uid:{os.geteuid()}"]]))
        await home.stop(signal.SIGTERM)
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in REGISTERS:
            if (home.data / name).exists():
                shutil.copy(home.data / name, copy / name)
        await home.start()
        up = home.line("agent", "up", "--agent", "helper")
        ended_said, other_said = tmp_path / "ended", tmp_path / "other"
        async with beside_agent(ended_said, *up) as ended, beside_agent(other_said, *up) as other:
            name, other_name = (one.of("ready")[0]["instance"] for one in (ended, other))
            await asyncio.to_thread(home.command, "agent", "end", name, "--yes")
            await home.stop(signal.SIGKILL)
            for file in REGISTERS:
                (home.data / file).unlink(missing_ok=True)
            shutil.copytree(copy, home.data, dirs_exist_ok=True)
            await home.start()
            assert "older than the ledger" in home.said
            # Neither is in this register. Of one the ledger says that somebody ended it.
            answer = await asks_until(ended, ended_said, "cannot be restored")
            assert answer["status"] == 401
            assert f"no longer knows {name}:" in ended_said.read_text()
            answer = await asks_until(other, other_said, f"replaces {other_name}")
            assert (await other.asked("sub"))["status"] == 201
            assert (await ended.asked("sub"))["status"] == 401
            # Not at the next start either, at which the ledger is read no more.
            await home.stop(signal.SIGTERM)
            await home.start()
            assert "older than the ledger" not in home.said
            assert (await ended.asked("sub"))["status"] == 401
        await home.stop(signal.SIGTERM)
        names = {one["instance"] for one in home.entries(Tag.WORKLOAD_ENROLLED) if not one["parent"]}
        assert len(names) == 3, "two that were, and one that came back"


class Middleman:
    """Passes on what it is sent, over a socket of its own; when it lies, who signs is told that nobody knows them."""

    def __init__(self, server: Path) -> None:
        self.server = server
        self.lies = False
        self.enrolments: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        path = scope["path"]
        if path.endswith("/enrol"):
            self.enrolments.append(json.loads(body))
        if self.lies and not path.endswith(("/enrol", "/challenge")):
            fields = [(b"content-type", b"application/problem+json")]
            await send({"type": "http.response.start", "status": 401, "headers": fields})
            await send({"type": "http.response.body", "body": json.dumps(REFUSAL).encode()})
            return
        http, base = open_client(f"unix:{self.server}")
        async with http:
            answer = await http.request(
                scope["method"],
                base + path,
                content=body,
                headers=[(n.decode(), v.decode()) for n, v in scope["headers"]],
            )
        kept = [(n, v) for n, v in answer.headers.raw if n.lower() in (b"content-type", b"www-authenticate")]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
        await send({"type": "http.response.body", "body": answer.content})


@asynccontextmanager
async def between(world: Served, path: Path) -> AsyncIterator[Middleman]:
    """Somebody on another socket, who got a sidecar to call there."""
    middleman = Middleman(world.uds)
    started, stop = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: serve(
                middleman, tcp=("127.0.0.1", 0), uds=path, started=lambda _: started.set(), stop=stop
            )
        )
        await started.wait()
        yield middleman
        stop.set()
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("RESIL-14")
async def test_a_middleman_who_denies_that_an_instance_is_known_gets_no_second_one_and_brings_back_none(
    tmp_path,
):
    said = tmp_path / "said"
    async with served(tmp_path, acting=False) as world, between(world, tmp_path / "between") as middleman:
        line = (sys.executable, str(MAIN), "scout", f"unix:{tmp_path / 'between'}", "", json.dumps(UNIX), "-")
        async with beside_agent(said, *line) as agent:
            assert (await agent.asked("sub"))["status"] == 201
            (one,) = (found for found in world.workloads.instances.live() if not found.parent)
            middleman.lies = True
            # The server, which is asked in the end, knows better: the instance lives.
            await asks_until(agent, said, "knows " + str(one.id) + " again")
            middleman.lies = False
            assert (await agent.asked("sub"))["status"] == 201
            await end_instance(world.workloads, one.id, because="operator.ended")
            middleman.lies = True
            await asks_until(agent, said, "cannot be restored")
        tops = [entry for entry in world.entries(Tag.WORKLOAD_ENROLLED) if not entry["parent"]]
        assert {entry["instance"] for entry in tops} == {str(one.id)}
        assert not [found for found in world.workloads.instances.live() if not found.parent]
        # The word about the former key was in each of them, and is under the proof of the new key.
        assert [sent["former"] for sent in middleman.enrolments[1:]] == [one.key.thumbprint] * (
            len(middleman.enrolments) - 1
        )


@pytest.mark.requirement("RESIL-14")
@pytest.mark.parametrize("change", ["left out", "another", "nonsense"])
async def test_nobody_in_between_takes_the_former_key_out_of_an_enrolment(tmp_path, change):
    async with served(tmp_path, acting=False) as world:
        async with world.client(uds=True) as client:
            challenge = await client.challenge()
        body = signed_body(challenge.text, fresh_key(), former="A" * 43)
        if change == "left out":
            del body["former"]
        else:
            body["former"] = "B" * 43 if change == "another" else 7
        http, base = open_client(f"unix:{world.uds}")
        async with http:
            answer = await http.post(f"{base}/identity/v1/enrol", json=body)
        assert answer.status_code in (400, 401)
        assert answer.json()["code"] in ("enrolment.other_request", "enrolment.malformed")
        assert world.entries(Tag.WORKLOAD_ENROLLED) == []


@pytest.mark.requirement("RESIL-14", "ENROL-06")
async def test_only_a_key_that_was_never_known_is_called_unknown(tmp_path):
    """What an ended instance, and who has no key at all, are told must not send anybody back to enrolment."""
    said = tmp_path / "said"
    async with served(tmp_path, acting=False) as world:
        line = (sys.executable, str(MAIN), "scout", f"unix:{world.uds}", "", json.dumps(UNIX), "-")
        async with beside_agent(said, *line) as agent:
            (one,) = world.workloads.instances.live()
            await end_instance(world.workloads, one.id, because="operator.ended")
            await asks_until(agent, said, "is no longer renewed")
        assert "no longer knows" not in said.read_text()
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{world.url}/identity/v1/renew", json={})
        assert answer.json()["code"] == "proof.malformed"
