"""S-07: the refresh token of an integration is stolen and used for bulk export (Salesloft and Drift, August 2025)."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx2
import pytest

from answerable.core.identity.keys.keys import SigningKey
from answerable.core.ledger.tags import Tag
from tests.attack.test_http_requests import command_lines
from tests.probes.waiting import past
from tests.stand_ins.authorization_server import SECRET, AuthorizationServer, authorization_server
from tests.stand_ins.resource_server import ResourceServer
from tests.worlds.brokered import Desk
from tests.worlds.http_target import api_of, directly
from tests.worlds.incident import (
    ALL,
    Incident,
    an_agent,
    asking_api,
    document,
    files_of,
    incident,
    on_api,
    pending,
    people,
    template,
    was_done,
)
from tests.worlds.up import until

pytestmark = pytest.mark.anyio
CASE = {"methods": ["GET"], "path": "/cases/7", "below": True, "query": {"limit": ["100"]}}
PLAIN = {"methods": ["GET"], "path": "/cases/7", "below": True}
CUT_SECONDS_MAX = 5.0
SHORT_SECONDS = 2
TOKEN_SECONDS = 600
RULES = (
    ALL
    + """
@id("exports-need-one")
@reason("whole tables leave when somebody has looked at it")
@approve("leads:1")
forbid(principal, action == Action::"crm.export", resource);
"""
)


@pytest.fixture(scope="module")
def login() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture
def api(login: AuthorizationServer) -> Iterator[ResourceServer]:
    with api_of(login) as running:
        yield running


def documents() -> str:
    every = {"methods": ["GET", "DELETE"], "path": "/", "below": True}
    return (
        people()
        + "".join(document("Server", name, target=name, vendor="drifters") for name in ("crm", "chat"))
        + on_api("crm.read", "crm", "read", "read", PLAIN, CASE)
        + on_api("crm.export", "crm", "request", "delete", every, sensitivity="restricted", tier=2)
        + on_api("chat.read", "chat", "read", "read", PLAIN)
        + template("crm.read", "crm.export", "chat.read")
        + document("PolicySet", "all", policies=RULES)
    )


def bearer(api: ResourceServer) -> str:
    return api.seen[-1].header("authorization").removeprefix("Bearer ")


@pytest.mark.requirement("SCEN7-05")
async def test_a_stolen_refresh_token_exports_nothing_and_one_command_ends_the_vendor(tmp_path, login, api):
    refresh = login.tell(refresh=True)["refresh"]
    custody = tmp_path / "house/broker/chat-refresh"
    custodian = {"auth": "refresh_token", "refresh_token_file": str(custody), "revocation_url": ""}
    targets = {
        "client-secret": SECRET,
        "crm.toml": asking_api(api, login),
        "chat.toml": asking_api(api, login, is_introspected=False, **custodian),
        "../chat-refresh": refresh,
    }
    async with incident(tmp_path, targets, documents()) as found:
        crm, chat = found.desk("crm"), found.desk("chat")
        key = await an_agent(crm)
        assert was_done(await crm.does_call(key, "read", path="/cases/7/notes"))
        first = bearer(api)
        login.tell(ttl=SHORT_SECONDS)
        assert was_done(await chat.does_call(key, "read", path="/cases/7/thread"))
        short, short_until = bearer(api), time.time() + SHORT_SECONDS
        login.tell(ttl=TOKEN_SECONDS)
        # 1. The refresh token is where the broker keeps it; whoever has it has no client to use it with.
        kept = custody.read_text().strip()
        assert kept not in ("", refresh), "it was rotated"
        for stolen in (refresh, kept):
            assert await _exchanged(login, stolen) in (400, 401)
        assert was_done(await chat.does_call(key, "read", path="/cases/7/thread")), "ours goes on"
        left = bearer(api)
        # 2 to 4. Bulk export, search, and an end to the traces.
        await _nothing_else_is_sent(crm, key, api)
        # Somebody took the token of an action that is under way: it reads, and changes nothing.
        going = asyncio.create_task(crm.does_call(key, "read", path="/cases/7/slow"))
        await until(lambda: api.seen[-1].target.endswith("/slow"), "a request under way")
        taken = bearer(api)
        assert taken not in (first, left)
        assert await directly(api.url, taken) == 200
        assert await directly(api.url, taken, "DELETE", "/jobs/1") == 403
        assert await directly(api.url, taken, "POST") == 403
        # One command for the vendor.
        using = asyncio.create_task(_last_use(api, taken))
        stopped = await crm.command("stop", "drifters", "--reason", "their tokens are out", "--json")
        held_at = datetime.fromisoformat(stopped["hold"]["at"]).timestamp()
        assert await asyncio.wait_for(using, 30) - held_at < CUT_SECONDS_MAX
        assert not was_done(await asyncio.wait_for(going, 30))
        assert (stopped["hold"]["kind"], stopped["hold"]["name"]) == ("vendor", "drifters")
        assert await directly(api.url, first) == 401
        for desk in (crm, chat):
            assert not was_done(await desk.does_call(key, "read", path="/cases/7/notes"))
        await _left_is_told(crm, stopped["report"])
        assert await directly(api.url, left) == 200, "which is why it is told"
        await past(short_until * 1000 + 1_000)
        assert await directly(api.url, short) == 401
        # What was touched is one query, and no secret is anywhere.
        story = (await crm.command("timeline", found.mandate, "--json"))["lines"]
        touched = [
            one["text"] for one in story if one["kind"] == "intent" and "path=/cases/7/" in one["text"]
        ]
        assert len(touched) == 4
        assert sum("It was not started" in one["text"] for one in story) == 4
        await found.home.stop(signal.SIGTERM)
        assert len(found.home.entries(Tag.REFUSAL)) == 2, "held, twice"
        everything = _everywhere(found, but=("client-secret", custody.name))
        for secret in (SECRET, refresh, kept, first, short, left, taken):
            assert secret.encode() not in everything
        assert refresh.encode() not in custody.read_bytes()


def _everywhere(found: Incident, *, but: tuple[str, ...]) -> bytes:
    files = files_of(found.home.data)
    held = b"".join(content for path, content in files.items() if path.name not in but)
    return held + found.home.said.encode() + "".join(command_lines()).encode()


async def _nothing_else_is_sent(crm: Desk, key: SigningKey, api: ResourceServer) -> None:
    """What is not the case of the task, however it is asked; nor is the log of jobs deleted."""
    before = len(api.seen)
    for path, query in (
        ("/cases", {"limit": "100000"}),
        ("/cases/7", {"limit": "100000"}),
        ("/cases/7", {"limit": "100", "q": "AKIA"}),
        ("/cases/7", {"q": "password"}),
    ):
        assert not was_done(await crm.does_call(key, "read", path=path, query=query)), (path, query)
    whole = {"path": "/cases", "query": {"limit": "100000"}}
    assert not was_done(await crm.does_call(key, "request", method="GET", **whole))
    assert not was_done(await crm.does_call(key, "request", method="DELETE", path="/jobs/1"))
    assert len(api.seen) == before
    assert len(await pending(crm)) == 2


async def _left_is_told(crm: Desk, report: dict[str, Any]) -> None:
    """What the server of the chat takes back from nobody is in the report, with until when."""
    leases = await crm.command("lease", "list", "--ended", "--json")
    [lasting, lapsing] = [one for one in leases if one["target"] == "chat"]
    assert lapsing["live_until"] < lasting["live_until"]
    told = {one["name"]: one for one in report["live"] if one["kind"] == "lease"}
    assert told[lasting["name"]]["until"] == lasting["live_until"]
    assert "takes none back" in told[lasting["name"]]["why"]
    assert set(told) <= {lasting["name"], lapsing["name"]}


async def _exchanged(login: AuthorizationServer, stolen: str) -> int:
    form = {"grant_type": "refresh_token", "refresh_token": stolen, "client_id": "broker"}
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        return (await client.post(login.token_url, data=form)).status_code


async def _last_use(api: ResourceServer, token: str) -> float:
    """When the API last took it, Unix seconds; returns once it does no more."""
    last = 0.0
    while await directly(api.url, token) == 200:
        last = time.time()
    return last
