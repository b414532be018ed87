"""Callers who mean harm, and upstreams that fall over, while others go on working."""

from __future__ import annotations

import json
import os
import signal

import anyio
import httpx2
import pytest

from answerable.apps.mcp_gateway.services import GatewayLimits
from answerable.core.ledger.tags import Tag
from tests.worlds.gateway import World, gateway_world, modern, modern_headers, until
from tests.worlds.signed_head import signed_head

pytestmark = pytest.mark.anyio
CALL = {"name": "customer_read", "arguments": {"case_id": "4711"}}
FIELDS = modern_headers("tools/call", "customer_read")
BARE = b"POST /mcp/crm HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"


async def works(world: World) -> None:
    """An honest call by another agent goes through."""
    async with world.client("crm", agent="rover", mandate="m-2") as client:
        assert not (await client.call_tool("customer_read", {"case_id": "4711"})).is_error


def honest(world: World) -> None:
    world.mandate("crm.read")
    world.mandate("crm.read", agent="rover", identity="m-2")


@pytest.mark.requirement("GATE-03")
async def test_no_bytes_stop_the_gateway_or_reach_the_walk(tmp_path):
    good = modern("tools/call", CALL)
    large = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": "x" * 5_000_000}}).encode()
    bad: dict[str, tuple[bytes, int, int]] = {
        "duplicate member": (
            good.replace(b'"case_id": "4711"', b'"case_id": "4712", "case_id": "4711"'),
            400,
            -32700,
        ),
        "duplicate name": (good.replace(b'"name"', b'"name": "note_add", "name"'), 400, -32700),
        "lone surrogate": (good.replace(b"4711", b"\\ud800"), 400, -32700),
        "nan": (good.replace(b'"4711"', b"NaN"), 400, -32700),
        "beyond doubles": (good.replace(b'"4711"', b"1e400"), 400, -32700),
        "beyond 2**53": (good.replace(b'"4711"', b"9007199254740993"), 400, -32700),
        "invalid utf-8": (good.replace(b"4711", b"\xff\xfe"), 400, -32700),
        "byte order mark": (b"\xef\xbb\xbf" + good, 400, -32700),
        "deep": (good.replace(b'"4711"', b"[" * 5000 + b"]" * 5000), 400, -32700),
        "cut off": (good[:-5], 400, -32700),
        "two values": (good + good, 400, -32700),
        "empty": (b"", 400, -32700),
        "batch": (b"[" + good + b"]", 400, -32600),
        "scalar": (b"7", 400, -32600),
        "a response": (b'{"jsonrpc":"2.0","id":1,"result":{}}', 400, -32600),
        "id of another type": (modern("tools/call", CALL, identifier=[1]), 400, -32600),
        "boolean id": (modern("tools/call", CALL, identifier=True), 400, -32600),
        "unknown member": (good.replace(b'"jsonrpc"', b'"more": 1, "jsonrpc"'), 400, -32600),
        "too large": (large, 413, -32600),
    }
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        for what, (body, status, code) in bad.items():
            answer = await world.post("crm", body, **FIELDS)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), what
            assert len(answer.content) < 600, what
        assert world.calls == []
        await works(world)
        assert (await world.post("crm", good, **FIELDS)).json()["result"]["isError"] is False


@pytest.mark.requirement("GATE-04")
async def test_nothing_is_done_without_a_proof_over_these_very_bytes(tmp_path):
    body = modern("tools/call", CALL)
    fields = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        **{name.replace("_", "-"): value for name, value in FIELDS.items()},
    }
    async with gateway_world(tmp_path, "crm") as world, httpx2.AsyncClient(trust_env=False) as stranger:
        honest(world)
        url = f"{world.url}/mcp/crm"
        for method, content in (("POST", body), ("GET", b""), ("DELETE", b""), ("POST", b"{")):
            refused = await stranger.request(method, url, content=content, headers=fields)
            assert refused.status_code == 401
            assert refused.json()["error"]["code"] == -32010
            assert refused.headers["www-authenticate"].startswith("Answerable epoch=")
        bearer = await stranger.post(url, content=body, headers={**fields, "authorization": "Bearer abc"})
        assert bearer.status_code == 401
        assert "answerable mcp shim" in bearer.json()["error"]["message"]
        assert "abc" not in bearer.text
        async with world.http(mandate="m-1") as http:
            sent = (await http.post(url, content=body, headers=fields)).request
        proof = dict(sent.headers)
        again = await stranger.post(url, content=body, headers=proof)
        assert again.json()["error"]["data"]["code"] == "proof.replay"
        other = await stranger.post(url, content=body.replace(b"4711", b"4712"), headers=proof)
        assert other.status_code == 401
        moved = await stranger.post(f"{world.url}/mcp/bad", content=body, headers=proof)
        assert moved.status_code == 401
        switched = await stranger.post(url, content=body, headers={**proof, "answerable-mandate": "m-2"})
        assert switched.status_code == 401
        assert len(world.calls) == 1
        await works(world)


@pytest.mark.requirement("GATE-13")
async def test_headers_that_say_something_else_than_the_body_are_refused(tmp_path):
    body = modern("tools/call", CALL)
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        wrong: list[dict[str, str]] = [
            {**FIELDS, "mcp_name": "case_list"},
            {**FIELDS, "mcp_method": "tools/list"},
            {"mcp_protocol_version": "2026-07-28"},
            {**FIELDS, "mcp_protocol_version": "2099-01-01"},
        ]
        for fields in wrong:
            answer = await world.post("crm", body, **fields)
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] in (-32020, -32022)
        async with world.http(mandate="m-1") as http:
            twice = [
                ("content-type", "application/json"),
                ("mcp-name", "customer_read"),
                ("mcp-name", "case_list"),
            ]
            answer = await http.post(f"{world.url}/mcp/crm", content=body, headers=twice)
            assert answer.json()["error"]["data"]["code"] == "http.header_twice"
        assert world.calls == []
        await works(world)


@pytest.mark.requirement("GATE-13")
async def test_foreign_hosts_origins_and_paths_are_refused(tmp_path):
    body = modern("tools/call", CALL)
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        assert (await world.post("crm", body, **FIELDS, host="evil.test")).status_code == 421
        assert (await world.post("crm", body, **FIELDS, host="127.0.0.1.evil.test")).status_code == 421
        assert (await world.post("crm", body, **FIELDS, origin="http://evil.test")).status_code == 403
        assert (await world.post("crm", body, **FIELDS, origin="http://localhost:3000")).status_code == 403
        for path in ("nothing", "crm/", "crm/more", "CRM", "crm%2F", "crm?x=1", "..%2Fcrm"):
            assert (await world.post(path, body, **FIELDS)).status_code in (401, 404), path
        compressed = await world.post("crm", body, **FIELDS, content_encoding="gzip")
        assert compressed.json()["error"]["data"]["code"] == "http.content_encoding"
        form = await world.post("crm", body, **FIELDS, content_type="text/plain")
        assert form.status_code == 415
        async with world.http(mandate="m-1") as http:
            assert (await http.put(f"{world.url}/mcp/crm", content=body)).status_code == 405
        assert world.calls == []


@pytest.mark.requirement("GATE-08")
async def test_a_body_that_comes_slowly_or_in_pieces_holds_up_nobody(tmp_path):
    async with gateway_world(tmp_path, "crm", limits=GatewayLimits(body_seconds_max=0.5)) as world:
        honest(world)
        address = httpx2.URL(world.url)
        slow = await anyio.connect_tcp(address.host, address.port or 0)
        await slow.send(signed_head(world, b"", "content-length: 100") + b"{")
        silent = await anyio.connect_tcp(address.host, address.port or 0)
        await silent.send(signed_head(world, b"", "content-length: 100"))
        gone = await anyio.connect_tcp(address.host, address.port or 0)
        await gone.send(signed_head(world, b"", "content-length: 100") + b"{")
        await gone.aclose()
        await works(world)
        assert b"http.slow_body" in await slow.receive()
        await slow.aclose()
        with anyio.fail_after(5):
            assert b"http.slow_body" in await silent.receive()
        await silent.aclose()
        large = await anyio.connect_tcp(address.host, address.port or 0)
        await large.send(signed_head(world, b"", "transfer-encoding: chunked"))
        with anyio.move_on_after(5):
            for _ in range(80):
                await large.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        assert b"http.too_large" in await large.receive()
        await large.aclose()
        await works(world)
        assert world.gateway.tally.stopped["http.too_large"] == 1

        async def pieces():
            for piece in (b'{"jsonrpc":"2.0",', b'"id":1,"method":"ping"}'):
                yield piece

        async with httpx2.AsyncClient(trust_env=False) as stranger:
            answer = await stranger.post(f"{world.url}/mcp/crm", content=pieces())
        assert answer.status_code == 401


@pytest.mark.requirement("GATE-08")
async def test_a_message_without_a_proof_is_refused_before_its_body_is_sent(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        address = httpx2.URL(world.url)
        for path in (b"/mcp/crm", b"/session"):
            async with await anyio.connect_tcp(address.host, address.port or 0) as stranger:
                await stranger.send(BARE.replace(b"/mcp/crm", path) + b"content-length: 4000000\r\n\r\n")
                with anyio.fail_after(2):
                    answer = await stranger.receive()
                assert answer.startswith(b"HTTP/1.1 401 ")
                assert b"www-authenticate: Answerable epoch=" in answer
                assert b"failed at step `proof`" in answer
        await works(world)


@pytest.mark.requirement("GATE-08")
async def test_bodies_that_come_in_at_a_time_are_bounded_together(tmp_path):
    limits = GatewayLimits(bodies_bytes_max=200_000, body_seconds_max=20)
    async with gateway_world(tmp_path, "crm", limits=limits) as world:
        honest(world)
        budget = world.gateway._front._admission._budget
        address = httpx2.URL(world.url)
        holder = await anyio.connect_tcp(address.host, address.port or 0)
        await holder.send(signed_head(world, b"", "content-length: 240000") + b"x" * 150_000)
        await until(lambda: budget.held == 150_000)
        other = await anyio.connect_tcp(address.host, address.port or 0)
        await other.send(signed_head(world, b"", "content-length: 240000", agent="rover") + b"x" * 60_000)
        answer = b""
        with anyio.fail_after(2):
            # It ends, so the connection was closed.
            async for piece in other:
                answer += piece
        await other.aclose()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer
        assert b"http.bodies_full" in answer
        assert budget.held == 150_000
        await holder.aclose()
        await until(lambda: budget.held == 0)
        await works(world)
        async with world.http(mandate="m-1") as http:
            large = modern("tools/call", {**CALL, "more": "x" * 100_000})
            assert (await http.post(f"{world.url}/mcp/crm", content=large)).status_code != 503
        assert budget.held == 0
        assert world.gateway.tally.stopped["http.bodies_full"] == 1


@pytest.mark.requirement("GATE-08")
async def test_others_go_on_while_an_upstream_dies_under_a_call(tmp_path):
    async with gateway_world(tmp_path, "crm", "bad") as world:
        honest(world)
        world.mandate("bad.hang", "bad.echo", identity="m-3")
        results: list[bool] = []

        async def doomed() -> None:
            async with world.client("bad", mandate="m-3") as client:
                results.append((await client.call_tool("hang", {})).is_error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(doomed)
            await until(world.effects)
            os.kill(int(world.lines("starts")[-1]), signal.SIGKILL)
            with anyio.fail_after(20):
                for _ in range(5):
                    await works(world)
        assert results == [True]
        async with world.client("bad", mandate="m-3") as client:
            assert not (await client.call_tool("echo", {"value": 1})).is_error
        assert len(world.entries(Tag.INTENT)) == len(world.ends())


@pytest.mark.requirement("GATE-08")
async def test_others_go_on_while_one_agent_uses_up_its_share(tmp_path):
    async with gateway_world(tmp_path, "crm", "bad", limits=GatewayLimits(requests_per_agent_max=3)) as world:
        honest(world)
        world.mandate("bad.hang", identity="m-3")
        body, fields = modern("tools/call", {"name": "hang"}), modern_headers("tools/call", "hang")
        statuses: list[int] = []

        async def greedy() -> None:
            statuses.append((await world.post("bad", body, mandate="m-3", **fields)).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(greedy)
            await until(lambda: len(world.effects()) == 3)
            await works(world)
        assert sorted(statuses) == [200, 200, 200, 429, 429]


@pytest.mark.requirement("GATE-04")
async def test_a_mandate_of_another_agent_is_worth_nothing(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        async with world.client("crm", mandate="m-2") as client:
            refused = await client.call_tool("customer_read", {"case_id": "4711"})
            assert refused.structured_content["code"] == "mandate.other_agent"
        async with world.client("crm", mandate="") as client:
            refused = await client.call_tool("customer_read", {"case_id": "4711"})
            assert refused.structured_content["code"] == "mandate.missing"
            assert (await client.list_tools()).tools == []


@pytest.mark.requirement("GATE-13")
async def test_parameter_headers_must_agree_with_the_arguments(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        schema = world.upstream.input_schema("crm", "customer_read")
        assert isinstance(schema, dict)
        schema["properties"]["case_id"]["x-mcp-header"] = "Case"
        body = modern("tools/call", CALL)
        agreed = await world.post("crm", body, **FIELDS, mcp_param_case="4711")
        assert agreed.json()["result"]["isError"] is False
        differs = await world.post("crm", body, **FIELDS, mcp_param_case="4712")
        assert differs.json()["error"]["code"] == -32020
        assert len(world.calls) == 1
