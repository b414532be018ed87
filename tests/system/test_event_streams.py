"""Streams of events over the real doors: managed, polled and pushed, with registers and ledger on disk."""

from __future__ import annotations

import stat
from typing import Any

import anyio
import httpx2
import pytest

from answerable.core.mandate.revocation import revocable
from answerable.flows.revocation.revoke_authority import revoke_authority
from tests.worlds.event import CAEP, SSF, EventClient, announcing, receiving
from tests.worlds.gateway import until
from tests.worlds.parts import to_end
from tests.worlds.token import TokenWorld, token_world

pytestmark = pytest.mark.anyio
POLL = "urn:ietf:rfc:8936"
PUSH = "urn:ietf:rfc:8935"


async def revoke(world: TokenWorld, name: str, kind: str = "token") -> None:
    await revoke_authority(*to_end(world.walk), revocable(kind, name), by="alice", reason="seen elsewhere")


@pytest.mark.requirement("SSF-04")
async def test_the_transmitter_says_where_everything_is_and_only_where_somebody_is_listed(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        said = (await world.get("/.well-known/ssf-configuration")).json()
        assert said["issuer"] == world.url
        assert said["spec_version"] == "1_0"
        assert said["delivery_methods_supported"] == [PUSH, POLL]
        assert said["default_subjects"] == "ALL"
        assert {one["spec_urn"] for one in said["authorization_schemes"]} >= {"urn:ietf:rfc:7523"}
        for name in ("configuration", "status", "verification", "add_subject", "remove_subject"):
            path = said[f"{name}_endpoint"].removeprefix(world.url)
            answer = await world.get(path)
            assert answer.status_code in (401, 405), path
            assert answer.headers["cache-control"] == "no-store", path
        # What everybody may know may be kept, but no longer than a key that was changed may stay unknown.
        for path in ("/.well-known/ssf-configuration", said["jwks_uri"].removeprefix(world.url)):
            assert (await world.get(path)).headers["cache-control"] == "public, max-age=60", path


@pytest.mark.requirement("SSF-04")
async def test_where_nobody_is_listed_there_is_no_door(tmp_path):
    async with token_world(tmp_path) as world:
        assert (await world.get("/.well-known/ssf-configuration")).status_code == 404
        assert (await EventClient(world, "researcher").ask("GET", "/ssf/streams")).status_code == 404
        assert not (tmp_path / "house" / "keys" / "events").exists()


@pytest.mark.requirement("SSF-10")
async def test_events_are_signed_by_a_key_of_their_own_that_checks_no_token(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        (key,) = (await world.get("/ssf/jwks")).json()["keys"]
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        assert "d" not in key
        assert len(key["n"]) == 512, "3072 bits in base64url"
        tokens = (await world.get("/oauth/jwks")).json()["keys"]
        assert key["kid"] not in {one["kid"] for one in tokens}
        (file,) = (tmp_path / "house" / "keys" / "events").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"PRIVATE" in file.read_bytes()


@pytest.mark.requirement("SSF-04")
@pytest.mark.parametrize("by", ["signature", "assertion"])
async def test_a_receiver_manages_a_stream_from_its_beginning_to_its_end(tmp_path, by):
    async with token_world(tmp_path, settings=announcing("researcher https://siem.example/events")) as world:
        client = EventClient(world, "researcher", by)
        made = await client.made(
            description="what ends", events_requested=[CAEP + "session-revoked", "urn:x"]
        )
        name = made["stream_id"]
        assert made["iss"] == world.url
        assert made["aud"] == "researcher"
        assert made["delivery"] == {"method": POLL, "endpoint_url": f"{world.url}/ssf/poll/{name}"}
        assert made["events_delivered"] == [CAEP + "session-revoked"]
        assert CAEP + "credential-change" in made["events_supported"]
        assert (await client.ask("GET", f"/ssf/streams?stream_id={name}")).json() == made
        assert (await client.ask("GET", "/ssf/streams")).json() == [made]
        # What is left out of an update stays; of a replacement it goes.
        push = {
            "method": PUSH,
            "endpoint_url": "https://siem.example/events",
            "authorization_header": "Bearer x",
        }
        updated = await client.ask(
            "PATCH", "/ssf/streams", {"stream_id": name, "delivery": push, "iss": world.url}
        )
        assert updated.status_code == 200, updated.text
        assert updated.json() == made | {"delivery": push}
        replaced = (await client.ask("PUT", "/ssf/streams", {"stream_id": name, "delivery": push})).json()
        assert "description" not in replaced
        assert "events_requested" not in replaced
        assert replaced["events_delivered"] == replaced["events_supported"]
        status = await client.ask(
            "POST", "/ssf/status", {"stream_id": name, "status": "paused", "reason": "for now"}
        )
        assert status.json() == {"stream_id": name, "status": "paused", "reason": "for now"}
        assert (await client.ask("GET", f"/ssf/status?stream_id={name}")).json() == status.json()
        assert (await client.ask("DELETE", f"/ssf/streams?stream_id={name}")).status_code == 204
        assert (await client.ask("GET", f"/ssf/streams?stream_id={name}")).status_code == 404
        assert (await client.ask("GET", "/ssf/streams")).json() == []


@pytest.mark.requirement("SSF-07")
async def test_a_receiver_that_polls_has_what_was_revoked_until_it_says_that_it_has_it(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        client = EventClient(world, "researcher")
        name = (await client.made())["stream_id"]
        await revoke(world, "t-1")
        await revoke(world, "t-2")
        first = await client.events(name, maxEvents=1)
        (one,) = first
        assert first[one]["sub_id"] == {"format": "jwt_id", "iss": world.url, "jti": "t-1"}
        # Not acknowledged: given again, under the same id.
        assert (await client.events(name, maxEvents=1)).keys() == first.keys()
        second = await client.events(name, ack=[one])
        assert [claims["sub_id"]["jti"] for claims in second.values()] == ["t-2"]
        done = await client.poll(name, ack=[*second], returnImmediately=True)
        assert done == {"sets": {}, "moreAvailable": False}


@pytest.mark.requirement("SSF-07")
async def test_a_poll_waits_for_what_comes_and_only_acknowledging_gives_nothing(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        client = EventClient(world, "researcher")
        name = (await client.made())["stream_id"]
        found = {}

        async def wait() -> None:
            found.update(await client.events(name))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await until(lambda: bool(world.product.events.polls), seconds=20)
            await revoke(world, "t-1")
        (jti,) = found
        more = await client.poll(name, maxEvents=0)
        assert more == {"sets": {}, "moreAvailable": True}
        assert await client.poll(name, maxEvents=0, ack=[jti]) == {"sets": {}, "moreAvailable": False}


@pytest.mark.requirement("SSF-07")
async def test_what_a_receiver_that_polls_refuses_is_set_aside_and_said(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        client = EventClient(world, "researcher")
        name = (await client.made())["stream_id"]
        await revoke(world, "t-1")
        (jti,) = await client.events(name)
        errors = {jti: {"err": "invalid_key", "description": "not known here"}}
        answer = await client.poll(name, setErrs=errors, returnImmediately=True)
        assert answer["sets"] == {}
        status = (await client.ask("GET", f"/ssf/status?stream_id={name}")).json()
        assert status["status"] == "enabled"
        assert status["reason"] == "refused 1, the last one for `invalid_key`"


@pytest.mark.requirement("SSF-04")
@pytest.mark.parametrize("state", ["VGhpcyBpcyBh", None])
async def test_a_verification_comes_through_the_stream_with_what_was_asked(tmp_path, state):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        client = EventClient(world, "researcher")
        name = (await client.made(events_requested=["urn:none-that-there-is"]))["stream_id"]
        asked = {"stream_id": name} | ({"state": state} if state else {})
        assert (await client.ask("POST", "/ssf/verify", asked)).status_code == 204
        (claims,) = (await client.events(name)).values()
        assert claims["sub_id"] == {"format": "opaque", "id": name}
        assert claims["events"] == {SSF + "verification": {"state": state} if state else {}}
        again = await client.ask("POST", "/ssf/verify", asked)
        assert again.status_code == 429
        assert again.headers["retry-after"]


@pytest.mark.requirement("SSF-04")
async def test_a_subject_that_was_removed_is_not_heard_of_until_it_is_added_again(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        client = EventClient(world, "researcher")
        name = (await client.made())["stream_id"]
        asked = {"stream_id": name, "subject": {"format": "jwt_id", "iss": world.url, "jti": "t-1"}}
        assert (await client.ask("POST", "/ssf/subjects/remove", asked)).status_code == 204
        await revoke(world, "t-1")
        await revoke(world, "t-2")
        events = await client.events(name)
        assert [one["sub_id"]["jti"] for one in events.values()] == ["t-2"]
        assert (await client.ask("POST", "/ssf/subjects/add", {**asked, "verified": True})).status_code == 200
        await revoke(world, "t-3")
        assert len(await client.events(name, ack=[*events])) == 1


@pytest.mark.requirement("SSF-04")
async def test_a_stream_that_is_paused_holds_and_one_that_is_disabled_forgets(tmp_path):
    async with token_world(tmp_path, settings=announcing("researcher")) as world:
        client = EventClient(world, "researcher")
        name = (await client.made())["stream_id"]

        async def put(status: str) -> None:
            answer = await client.ask("POST", "/ssf/status", {"stream_id": name, "status": status})
            assert answer.status_code == 200

        async def announced(token: str) -> None:
            await revoke(world, token)
            await until(lambda: world.product.events.read_to == world.walk.recorder.ledger.size, seconds=20)

        await put("paused")
        await announced("t-1")
        assert (await client.poll(name, returnImmediately=True))["sets"] == {}
        await put("enabled")
        events = await client.events(name)
        assert [one["sub_id"]["jti"] for one in events.values()] == ["t-1"]
        await put("disabled")
        await announced("t-2")
        await put("enabled")
        assert (await client.poll(name, returnImmediately=True))["sets"] == {}


@pytest.mark.requirement("SSF-06")
async def test_a_receiver_that_is_pushed_to_gets_an_instance_and_a_task_that_ended(tmp_path):
    jwks: list[Any] = []
    with receiving(lambda: jwks, audience="researcher") as receiver:
        async with token_world(tmp_path, settings=announcing(f"researcher {receiver.url}")) as world:
            receiver.issuer = world.url
            jwks += (await world.get("/ssf/jwks")).json()["keys"]
            client = EventClient(world, "researcher")
            push = {"method": PUSH, "endpoint_url": receiver.url, "authorization_header": "Bearer theirs"}
            name = (await client.made(delivery=push))["stream_id"]
            assert (await client.ask("POST", "/ssf/verify", {"stream_id": name})).status_code == 204
            await revoke(world, "spiffe://answerable.local/agent/writer/1", "agent")
            await revoke(world, "m-77", "mandate")
            await until(lambda: len(receiver.tokens) == 3, seconds=30)
            assert receiver.kinds == [SSF + "verification", *[CAEP + "session-revoked"] * 2]
            assert (
                receiver.tokens[1]["sub_id"]["session"]["sub"] == "spiffe://answerable.local/agent/writer/1"
            )
            assert receiver.tokens[2]["sub_id"] == {"format": "opaque", "id": "mandate:m-77"}
            assert {one["authorization"] for one in receiver.headers} == {"Bearer theirs"}


@pytest.mark.requirement("SSF-03")
async def test_streams_and_what_waits_outlive_a_restart(tmp_path):
    settings = announcing("researcher")
    async with token_world(tmp_path, settings=settings) as world:
        port = httpx2.URL(world.url).port
        client = EventClient(world, "researcher")
        made = await client.made(description="kept")
        await revoke(world, "t-1")
        kid = (await world.get("/ssf/jwks")).json()["keys"][0]["kid"]
    async with token_world(tmp_path, settings=settings, port=port) as world:
        client = EventClient(world, "researcher")
        assert (await client.ask("GET", "/ssf/streams")).json() == [made]
        assert (await world.get("/ssf/jwks")).json()["keys"][0]["kid"] == kid
        events = await client.events(made["stream_id"])
        assert [one["sub_id"]["jti"] for one in events.values()] == ["t-1"]
