"""An agent is stopped at the command line while it works: every credential that it holds ends, within what was stated.

Real processes: the server, a sidecar with an agent that hands on a part of its task, a workload of others' making that
holds an X.509-SVID and JWT-SVIDs of the same agent, and this one, which watches the Workload API.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from answerable.apps.workload_api.messages import schema
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.ledger.tags import Tag
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import create_key, public_jwk
from answerable.sdk.proof_auth import SignatureAuth
from tests.interop.workload_clients import PYTHON_CLIENT
from tests.probes.demo_run import ROOT
from tests.system.test_sidecar_tasks import documents, read_by_writer
from tests.worlds.up import SETTINGS, WAIT_SECONDS_MAX, Attached, House, attached, environment, house
from tests.worlds.workload_api import answer_of, asked, opened

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.requirement("LIFE-04", "LIFE-05"),
    pytest.mark.skipif(sys.platform != "linux", reason="the sidecar keeps its keys by Linux's means"),
]
LASTING = ROOT / "tests/system/lasting_agent.py"
X509 = "/SpiffeWorkloadAPI/FetchX509SVID"
X509_SECONDS, JWT_SECONDS = 120, 90
BOUNDS = f"jwt_seconds = {JWT_SECONDS}\n"
CLEO = """\
apiVersion: answerable/v1
kind: Principal
metadata: {name: cleo}
spec: {displayName: Cleo, groups: [leads]%s}
"""


@dataclass
class Lasting:
    """The agent under its sidecar."""

    process: asyncio.subprocess.Process

    async def said(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            line = await self.process.stdout.readline()
        found: dict[str, Any] = json.loads(line)
        return found

    async def asked(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        return await self.said()


@contextlib.asynccontextmanager
async def lasting(home: House, work: Path, mandate: str) -> AsyncIterator[Lasting]:
    line = home.line(
        *("agent", "up", "--agent", "scout", "--gateway", f"unix:{home.data / 'gateway.sock'}"),
        *("--mandate", mandate, "--", sys.executable, str(LASTING), str(work)),
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *line, stdin=pipe, stdout=pipe, stderr=(home.root / "sidecar").open("wb"), env=environment()
    )
    try:
        yield Lasting(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), WAIT_SECONDS_MAX)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def is_active(home: House, key: SigningKey, token: str) -> bool:
    """What introspection says to the receiver of what was handed on."""
    client, base = open_client(f"unix:{home.data / 'gateway.sock'}", SignatureAuth(key))
    async with client:
        answer = await client.post(f"{base}/oauth/introspect", data={"token": token})
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["active"])


def owned_by_cleo(place: Path) -> str:
    """The agent has an owner of its own; what it uses has others."""
    first, scout, rest = documents(place).partition("metadata: {name: scout}")
    return first + scout + rest.replace("owner: ada", "owner: cleo", 1) + "---\n" + CLEO % ""


async def put(home: House, verb: str) -> dict[str, Any]:
    said = await asyncio.to_thread(home.command, "agent", verb, "scout", "--yes", "--json")
    found: dict[str, Any] = json.loads(said)
    return found


async def retired(home: House) -> dict[str, Any]:
    return await put(home, "retire")


async def suspended(home: House) -> dict[str, Any]:
    return await put(home, "suspend")


async def owner_disabled(home: House) -> dict[str, Any]:
    """By the one document that says so."""
    await asyncio.to_thread(home.apply, CLEO % ", status: disabled")
    return {}


async def nothing_runs(home: House) -> None:
    """The instances have ended, within seconds."""
    shown = ("agent", "instances", "--agent", "scout", "--json")
    while json.loads(await asyncio.to_thread(home.command, *shown)):  # noqa: ASYNC110 - another process ends them
        await asyncio.sleep(0.1)


def millis(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp() * 1000)


def stated(change: dict[str, Any], held: set[str], issued: list[dict[str, Any]], at: int) -> None:
    """What retiring said is what the ledger knows, and nothing is good for longer than was stated."""
    alive = {one["serial"]: one["expires"] for one in issued if one["expires"] > at}
    told = {one["serial"]: millis(one["expires_at"]) for one in change["svids_outstanding"]}
    assert held <= told.keys(), "what a workload really holds is told"
    assert {name: told[name] // 1000 for name in alive.keys() & told.keys()} == {
        name: alive[name] // 1000 for name in alive.keys() & told.keys()
    }
    assert change["svids_all"]
    until_x509, until_jwt = millis(change["x509_svids_valid_until"]), millis(change["jwt_svids_valid_until"])
    for one in change["svids_outstanding"]:
        assert millis(one["expires_at"]) <= (until_x509 if one["kind"] == "x509" else until_jwt)


@pytest.mark.parametrize("end", [retired, suspended, owner_disabled], ids=lambda one: one.__name__)
async def test_whatever_ends_an_agent_ends_every_credential_that_it_holds(
    tmp_path: Path, end: Callable[[House], Any]
) -> None:
    settings = SETTINGS.replace("x509_seconds = 60", f"x509_seconds = {X509_SECONDS}") + BOUNDS
    async with house(tmp_path, settings) as home:
        keys = {name: create_key(tmp_path / f"{name}.jwk", seed=os.urandom(32)) for name in ("ada", "writer")}
        for name, key in keys.items():
            (tmp_path / f"{name}.pub.jwk").write_text(public_jwk(key))
        await home.start()
        await asyncio.to_thread(home.apply, owned_by_cleo(tmp_path))
        await home.serving()
        issue = ("mandate", "issue", "two-cases", "--as", "ada", "--key", str(tmp_path / "ada.jwk"), "--yes")
        mandate = (await asyncio.to_thread(home.command, *issue)).strip()
        work = tmp_path / "work.json"
        work.write_text(json.dumps({"mandate": mandate, "key": json.loads(public_jwk(keys["writer"]))}))
        async with (
            lasting(home, work, mandate) as agent,
            attached(home.api, "w", *PYTHON_CLIENT) as workload,
            Channel(path=str(home.api)) as client,
            opened(client, X509) as stream,
        ):
            await stream.send_message(schema().methods[X509].takes(), end=True)
            assert (await answer_of(stream)).svids
            assert (await agent.said())["status"] == 201
            assert "Amara Okafor" in (await agent.asked("read 4711"))["text"]
            chain = (await agent.asked("hand"))["delegation"]
            assert "Amara Okafor" in await read_by_writer(home, keys["writer"], chain, "4711")
            assert await is_active(home, keys["writer"], chain)
            await workload.next_svid(0)
            token = await workload.token()
            assert token["id"] == workload.svid["id"]
            held = held_by(workload)

            change = await end(home)

            # 1. Its next message is refused, and so is what it handed on; nothing reached the server behind.
            assert "Amara Okafor" not in (await agent.asked("read 4711"))["text"]
            assert "Amara Okafor" not in await read_by_writer(home, keys["writer"], chain, "4711")
            assert not await is_active(home, keys["writer"], chain)
            # 2. Nothing is issued any more, neither asked for nor pushed.
            assert (await workload.asked("token billing"))["error"]
            await asyncio.wait_for(nothing_runs(home), WAIT_SECONDS_MAX)
            while await stream.recv_message() is not None:
                """What was pushed before the end."""
            with pytest.raises(GRPCError) as told:
                await stream.recv_trailing_metadata()
            assert told.value.status is Status.PERMISSION_DENIED
            with pytest.raises(GRPCError) as told:
                await asked(client, X509)
            assert told.value.status is Status.PERMISSION_DENIED
            assert len(workload.serials) == len(held)
        await home.stop(signal.SIGTERM)
        ended = {one["instance"]: one["at"] for one in home.entries(Tag.WORKLOAD_ENDED)}
        issued = [one for one in home.entries(Tag.SVID_ISSUED) if "/agent/scout/" in one["instance"]]
        kinds = {one["kind"] for one in issued}
        assert kinds == {"x509", "jwt"}
        for one in issued:
            # 3. By what was written down: none was issued after the end, and none lives longer than stated.
            end_at = ended[one["instance"]]
            assert one["at"] <= end_at
            assert one["expires"] <= end_at + (X509_SECONDS if one["kind"] == "x509" else JWT_SECONDS) * 1000
        if change:
            assert mandate in change["mandates_closed"] or change["status"] == "suspended"
            stated(change, held, issued, min(ended.values()))


def held_by(workload: Attached) -> set[str]:
    """The serials of the certificates that a workload really has, as the ledger writes them."""
    found = [x509.load_pem_x509_certificate(one["leaf"].encode()) for one in workload.of("x509")]
    return {f"{one.serial_number:x}" for one in found}
