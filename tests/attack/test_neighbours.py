"""One caller that sends what costs much: what the others have of it, and when it is told no. F-03."""

from __future__ import annotations

from functools import partial

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

from answerable.apps.mcp_gateway.services import GatewayLimits
from answerable.core.containment.hold import holdable
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.flows.revocation.place_hold import place_hold
from answerable.testing.samples import signing_key
from tests.worlds.gateway import World, gateway_world, modern, modern_headers, until
from tests.worlds.signed_head import signed_head

pytestmark = pytest.mark.anyio
CALL = {"name": "customer_read", "arguments": {"case_id": "4711"}}
FIELDS = modern_headers("tools/call", "customer_read")
ANSWERED_SECONDS_MAX = 20
"""It bounds a test that hangs, and is no claim."""


def honest(world: World) -> None:
    world.mandate("crm.read")
    world.mandate("crm.read", agent="rover", identity="m-2")


async def works(world: World) -> None:
    async with world.client("crm", agent="rover", mandate="m-2") as client:
        assert not (await client.call_tool("customer_read", {"case_id": "4711"})).is_error


async def connected(world: World) -> SocketStream:
    address = httpx2.URL(world.url)
    return await anyio.connect_tcp(address.host, address.port or 0)


async def answer_to(world: World, sent: bytes) -> bytes:
    """What comes of a head whose body never comes."""
    async with await connected(world) as stream:
        await stream.send(sent)
        with anyio.fail_after(ANSWERED_SECONDS_MAX):
            return await stream.receive()


@pytest.mark.requirement("NEIGHBOUR-01")
async def test_of_a_forged_signature_and_an_unknown_key_no_body_is_waited_for(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        head = signed_head(world, b"", "Content-Length: 200000")
        forged = head.replace(b"Content-Length", b"Answerable-Mandate: m-1\r\nContent-Length")
        assert b"proof.malformed" in await answer_to(world, forged)
        name, _, rest = head.partition(b"Signature: answerable=:")
        assert b"proof.signature" in await answer_to(world, name + b"Signature: answerable=:AAAA" + rest[4:])
        key = signing_key("scout").public.thumbprint.encode()
        assert b"proof.key" in await answer_to(world, head.replace(key, b"A" * len(key)))
        # Nothing of it was used up: the same head goes through with its body.
        async with await connected(world) as stream:
            await stream.send(signed_head(world, b"{}") + b"{}")
            assert b"rpc.shape" in await stream.receive()


@pytest.mark.requirement("NEIGHBOUR-02", "GATE-03")
@pytest.mark.parametrize("how", ["held", "revoked", "quota"])
async def test_the_body_of_who_does_not_stand_is_not_read(tmp_path, how):
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        walk = world.walk
        if how == "held":
            await place_hold(
                walk.recorder,
                walk.authority,
                walk.live,
                walk.counters.cuts,
                holdable("agent", "scout"),
                by="uid:0",
            )
        elif how == "revoked":
            what = RevocationTarget("agent", "scout")
            walk.authority.revocations.add(Revocation(what=what, at=walk.clock.now(), by="alice"))
        else:
            for _ in range(walk.limits.refusals_recorded_max):
                walk.counters.quota.note(AgentId("scout"), walk.clock.now())
        answer = await answer_to(world, signed_head(world, b"", "Content-Length: 200000"))
        assert answer.startswith(b"HTTP/1.1 403 ")
        said = {"held": b"held.agent", "revoked": b"revoked.agent", "quota": b"held.agent"}[how]
        assert said in answer
        chunked = await answer_to(world, signed_head(world, b"", "Transfer-Encoding: chunked"))
        assert chunked.startswith(b"HTTP/1.1 403 ")
        # What says what it asked for is read, so that a model reads why, and the ledger has what was tried.
        small = (await world.post("crm", modern("tools/call", CALL), **FIELDS)).json()
        assert small["result"]["structuredContent"]["code"].encode() == said
        await works(world)


@pytest.mark.requirement("NEIGHBOUR-03", "NEIGHBOUR-05", "GATE-03")
async def test_what_costs_much_to_read_is_refused_unparsed_and_counts(tmp_path):
    many = b",".join(b'"%d":1' % number for number in range(5_001))
    deep = b"[" * 31 + b"]" * 31
    bodies = {
        "http.too_large": modern("tools/call", {"name": "x" * 262_144}),
        "json.nodes": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{%b}}' % many,
        "json.depth": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":%b}}' % deep,
        "json.duplicate_member": b'{"jsonrpc":"2.0","id":1,"method":"ping","id":1}',
        # What the protocol's own checks refuse: this revision has a name in a field that differs.
        "": modern("tools/call", CALL),
    }
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        quota, agent, now = world.walk.counters.quota, AgentId("scout"), world.walk.clock.now
        for _ in range(world.walk.limits.refusals_recorded_max - len(bodies)):
            quota.note(agent, now())
        for code, body in bodies.items():
            assert not quota.is_held(agent, now())
            fields = FIELDS if code else {**FIELDS, "mcp_name": "case_list"}
            answer = await world.post("crm", body, **fields)
            assert answer.status_code in (400, 413), code
            assert answer.json()["error"].get("data", {}).get("code", "") == code
        assert quota.is_held(agent, now())
        assert world.calls == []
        await works(world)


@pytest.mark.requirement("NEIGHBOUR-04")
async def test_large_bodies_come_one_at_a_time_for_each_agent_and_hold_up_no_other(tmp_path):
    async with gateway_world(tmp_path, "crm", limits=GatewayLimits(body_seconds_max=60)) as world:
        honest(world)
        slow = await connected(world)
        await slow.send(signed_head(world, b"", "Content-Length: 100000") + b"{")
        locks = world.gateway._front._admission._large
        await until(lambda: "scout" in locks and locks["scout"].locked())
        large = modern("tools/call", {**CALL, "more": "x" * 100_000})
        answers: list[httpx2.Response] = []

        async def post() -> None:
            answers.append(await world.post("crm", large, **FIELDS))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            await works(world)
            async with world.http(agent="rover", mandate="m-2") as http:
                body = {"content-type": "application/json", "accept": "application/json"}
                named = {name.replace("_", "-"): value for name, value in FIELDS.items()}
                other = await http.post(f"{world.url}/mcp/crm", content=large, headers={**body, **named})
            assert other.json()["error"]["data"]["code"] == "params.invalid"
            assert answers == []
            await slow.aclose()
        assert answers[0].json()["error"]["data"]["code"] == "params.invalid"


@pytest.mark.requirement("NEIGHBOUR-04")
async def test_what_is_large_is_parsed_and_frozen_beside_the_loop(tmp_path, monkeypatch):
    from answerable.apps.mcp_gateway.admission import Admission

    aside: list[str] = []
    done = Admission.aside

    async def noted(self, work):
        aside.append(work.func.__name__ if isinstance(work, partial) else "hash")
        return await done(self, work)

    monkeypatch.setattr(Admission, "aside", noted)
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        for padding in (0, 50_000):
            call = {"name": "customer_read", "arguments": {"case_id": "4711", "more": "x" * padding}}
            await world.post("crm", modern("tools/call", call), **FIELDS)
        assert aside == ["hash", "parsed_message", "request_of"]


@pytest.mark.requirement("NEIGHBOUR-05")
async def test_whoever_copied_a_head_has_no_agent_refused_for_it(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        honest(world)
        quota, agent, now = world.walk.counters.quota, AgentId("scout"), world.walk.clock.now
        for _ in range(world.walk.limits.refusals_recorded_max - 2):
            quota.note(agent, now())
        head = signed_head(world, b"", "Content-Length: 300000")
        assert b"http.too_large" in await answer_to(world, head)
        for _ in range(5):
            assert b"proof.replay" in await answer_to(world, head)
        assert not quota.is_held(agent, now())
        assert b"http.too_large" in await answer_to(world, signed_head(world, b"", "Content-Length: 300000"))
        assert quota.is_held(agent, now())
