"""Attacks on enrolment: stolen keys, replayed requests, other people's processes, sub-agents out of nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.enrolment import enrolment_proof
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed, Refused, Unverified
from answerable.flows.revocation.end_instance import end_instance
from answerable.sdk.proof_auth import SessionAuth, SignatureAuth
from answerable.testing.samples import signing_key
from tests.worlds.enrolment import DOMAIN, UNIX, challenge_of, fresh_key, signed_body
from tests.worlds.enrolment import served as served_world

pytestmark = pytest.mark.anyio
served = partial(served_world, acting=False)
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's")


async def over_unix(world: Any, name: str, body: Any, auth: httpx2.Auth | None = None) -> Any:
    transport = httpx2.AsyncHTTPTransport(uds=str(world.uds))
    async with httpx2.AsyncClient(transport=transport, timeout=30, auth=auth) as http:
        response = await http.post(f"http://localhost/identity/v1/{name}", json=body)
    return response.status_code, response.json()


async def raised(awaited: Any) -> AnswerableError:
    with pytest.raises(AnswerableError) as error:
        await awaited
    return error.value


@linux
@pytest.mark.requirement("ENROL-03")
async def test_an_enrolment_that_was_overheard_cannot_be_played_again(tmp_path):
    async with served(tmp_path) as world:
        body = signed_body(await challenge_of(world, uds=True), fresh_key())
        status, first = await over_unix(world, "enrol", body)
        assert status == 200
        for send, code in (
            (over_unix(world, "enrol", body), "challenge.used"),
            (world.post("enrol", body), "challenge.unknown"),
        ):
            status, problem = await send
            assert (status, problem["code"]) == (401, code)
        assert [entry["instance"] for entry in world.entries(Tag.WORKLOAD_ENROLLED)] == [first["instance"]]


@linux
@pytest.mark.requirement("ENROL-03")
async def test_no_key_attestation_or_measurement_can_be_put_in_the_place_of_the_proved_one(tmp_path):
    async with served(tmp_path) as world:
        mine, other = fresh_key(), fresh_key()
        good = signed_body(await challenge_of(world, uds=True), mine, measured={"model_name": "m"})
        swapped = [
            {**good, "key": json.loads(other.public.jwk)},
            {**good, "attestation": {"type": "join_token", "token": "ajt_" + "A" * 43}},
            {**good, "measured": {"model_name": "another"}},
            {**good, "claimed": {"model_version": "7"}},
            {k: v for k, v in good.items() if k != "measured"},
            signed_body(await challenge_of(world, uds=True), mine, domain="elsewhere.test"),
            signed_body("1.00000000000000000000000000." + "A" * 43, mine),
            {**good, "proof": signed_body(await challenge_of(world, uds=True), other)["proof"]},
        ]
        for body in swapped:
            status, problem = await over_unix(world, "enrol", body)
            assert status == 401, problem
        assert world.entries(Tag.WORKLOAD_ENROLLED) == []


@linux
@pytest.mark.requirement("ENROL-03")
async def test_a_key_that_is_somebodys_is_nobody_elses(tmp_path):
    async with served(tmp_path) as world:
        for owner in ("scout", "alice"):
            body = signed_body(await challenge_of(world, uds=True), signing_key(owner))
            status, problem = await over_unix(world, "enrol", body)
            assert (status, problem["code"]) == (403, "instance.key_registered")
        key = fresh_key()
        async with world.client(uds=True) as client:
            await client.enrol(await client.challenge(), key=key, attestation=UNIX)
        token = world.workloads.attestor.new_join_token("first", AgentId("scout"))
        body = signed_body(await challenge_of(world), key, {"type": "join_token", "token": token})
        status, problem = await world.post("enrol", body)
        assert (status, problem["code"]) == (409, "instance.key_taken")


@linux
@pytest.mark.requirement("ENROL-04")
async def test_a_process_is_named_by_its_connection_and_by_nothing_that_it_says(tmp_path):
    """Another process is enrolled only by itself: pids, ids and selectors in the body are not taken."""
    async with served(tmp_path) as world:
        for claimed in ({"pid": 1}, {"process": "boot:1:1"}, {"selectors": ["unix:uid:0"]}, {"uid": 0}):
            body = signed_body(await challenge_of(world, uds=True), fresh_key(), {**UNIX, **claimed})
            status, problem = await over_unix(world, "enrol", body)
            assert (status, problem["code"]) == (400, "enrolment.malformed")
        body = signed_body(await challenge_of(world, uds=True), fresh_key(), pid=1)
        assert (await over_unix(world, "enrol", body))[0] == 400
        # Over TCP there is no kernel's word at all.
        status, problem = await world.post("enrol", signed_body(await challenge_of(world), fresh_key()))
        assert (status, problem["code"]) == (401, "attestation.channel")
        assert "`--gateway unix:PATH`" in problem["detail"]
        await over_unix(world, "enrol", signed_body(await challenge_of(world, uds=True), fresh_key()))
        (live,) = world.workloads.instances.live()
        assert live.process.split(":")[1] == str(os.getpid())


@linux
@pytest.mark.requirement("ENROL-04")
async def test_the_enrolled_process_is_the_one_that_connected_even_when_another_one_writes(tmp_path):
    """A connection that is handed on stays that of the process that made it, so a dead one enrols nobody."""
    async with served(tmp_path) as world:
        body = signed_body(await challenge_of(world, uds=True), fresh_key())
        text = json.dumps(body).encode()
        ours, theirs = socket.socketpair()
        script = (
            "import socket,sys\n"
            "s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
            "c=socket.socket(fileno=int(sys.argv[2])); socket.send_fds(c,[b'x'],[s.fileno()])\n"
        )
        command = [sys.executable, "-c", script, str(world.uds), str(theirs.fileno())]

        def received() -> socket.socket:
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
            process.wait()
            return socket.socket(fileno=descriptors[0])

        connected = await anyio.to_thread.run_sync(received)

        def asked() -> bytes:
            with connected:
                connected.settimeout(20)
                head = (
                    "POST /identity/v1/enrol HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                    f"content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
                )
                connected.sendall(head.encode() + text)
                found = b""
                while piece := connected.recv(65536):
                    found += piece
                return found

        answer = await anyio.to_thread.run_sync(asked)
        assert answer.startswith(b"HTTP/1.1 401"), answer
        assert world.entries(Tag.WORKLOAD_ENROLLED) == []


@linux
@pytest.mark.requirement("ENROL-05")
async def test_a_sub_agent_comes_from_a_live_parent_alone(tmp_path):
    async with served(tmp_path) as world:
        parent, child = fresh_key(), fresh_key()

        async def below(auth: httpx2.Auth | None, key: SigningKey) -> Any:
            body: dict[str, Any] = {"key": json.loads(key.public.jwk)}
            proof = enrolment_proof(body, challenge=await challenge_of(world), domain=DOMAIN, key=key)
            return await world.post("sub-agents", {**body, "proof": proof}, auth=auth)

        # Nobody, a stranger, and an agent whose key is registered and is no instance.
        assert (await below(None, child))[0] == 401
        assert (await below(SignatureAuth(parent), child))[0] == 401
        status, problem = await below(SignatureAuth(signing_key("scout")), child)
        assert (status, problem["code"]) == (401, "instance.no_instance")
        async with world.client(uds=True) as client:
            enrolled = await client.enrol(await client.challenge(), key=parent, attestation=UNIX)
        status, made = await below(SignatureAuth(parent), child)
        assert (status, made["parent"]) == (200, str(enrolled.instance))
        # Its key is its own: not its parent's, not a sibling's, and no sub-agent of a sub-agent.
        assert (await below(SignatureAuth(parent), parent))[1]["code"] == "instance.key_taken"
        assert (await below(SignatureAuth(parent), child))[1]["code"] == "instance.key_taken"
        assert (await below(SignatureAuth(child), fresh_key()))[1]["code"] == "instance.depth"
        # Proved by the parent, but not by the key that is to be enrolled.
        stolen = {"key": json.loads(fresh_key().public.jwk)}
        proof = enrolment_proof(stolen, challenge=await challenge_of(world), domain=DOMAIN, key=parent)
        status, _ = await world.post("sub-agents", {**stolen, "proof": proof}, auth=SignatureAuth(parent))
        assert status == 401
        await end_instance(world.workloads, enrolled.instance, because="asked")
        assert (await below(SignatureAuth(parent), fresh_key()))[0] == 401
        status, _ = await world.post("renew", {}, auth=SignatureAuth(child))
        assert status == 401


@linux
@pytest.mark.requirement("ENROL-06")
async def test_after_its_end_an_instance_renews_ends_and_acts_no_more(tmp_path):
    async with served(tmp_path) as world:
        world.mandate("crm.read")
        key = fresh_key()
        session = SessionAuth(key, mandate="m-1")
        async with world.client(uds=True) as client:
            await client.enrol(await client.challenge(), key=key, attestation=UNIX)
            await client.renew(session)
            await client.end(session)
            # The session that its key had opened is worth as little as a new signature.
            for auth in (session, SignatureAuth(key)):
                assert isinstance(await raised(client.renew(auth)), Unverified)
            assert isinstance(await raised(client.end(session)), Unverified)
            again = await raised(client.enrol(await client.challenge(), key=key, attestation=UNIX))
            assert again.code == "instance.key_taken"


@linux
@pytest.mark.requirement("ENROL-05")
async def test_an_instance_ends_itself_and_its_own_sub_agents_and_nobody_else(tmp_path):
    async with served(tmp_path) as world:
        one, sub, other = fresh_key(), fresh_key(), fresh_key()
        async with world.client(uds=True) as client:
            mine = await client.enrol(await client.challenge(), key=one, attestation=UNIX)
            below = await client.enrol_sub_agent(await client.challenge(), parent=SignatureAuth(one), key=sub)
            token = world.workloads.attestor.new_join_token("first", AgentId("scout"))
            second = await client.enrol(
                await client.challenge(), key=other, attestation={"type": "join_token", "token": token}
            )
            for key, target in ((other, mine), (other, below), (sub, mine), (one, second)):
                error = await raised(client.end(SignatureAuth(key), target.instance))
                assert error.code == "instance.unknown"
            assert await client.end(SignatureAuth(one), below.instance) == (str(below.instance),)
            assert len(list(world.workloads.instances.live())) == 2


@linux
@pytest.mark.requirement("ENROL-06")
async def test_a_renewal_by_another_process_or_with_weaker_evidence_changes_nothing(tmp_path):
    async with served(tmp_path) as world:
        key = fresh_key()
        async with world.client(uds=True) as client:
            await client.enrol(await client.challenge(), key=key, attestation=UNIX)
        token = world.workloads.attestor.new_join_token("first", AgentId("scout"))
        body = {"attestation": {"type": "join_token", "token": token}}
        status, problem = await world.post("renew", body, auth=SignatureAuth(key))
        assert (status, problem["code"]) == (403, "attestation.changed")
        script = (
            "import sys,anyio,httpx2,json\n"
            "from answerable.core.identity.keys.keys import SigningKey\n"
            "from answerable.sdk.proof_auth import SignatureAuth\n"
            "key=SigningKey(sys.stdin.read())\n"
            "t=httpx2.HTTPTransport(uds=sys.argv[1])\n"
            "c=httpx2.Client(transport=t,auth=SignatureAuth(key))\n"
            "print(c.post('http://localhost/identity/v1/renew',json={}).text)\n"
        )
        stolen = SigningKey(jwk := new_private_jwk("ed25519", os.urandom(32)))
        async with world.client(uds=True) as client:
            await end_instance(
                world.workloads, next(iter(world.workloads.instances.live())).id, because="asked"
            )
            await client.enrol(await client.challenge(), key=stolen, attestation=UNIX)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        found = await anyio.run_process(
            [sys.executable, "-c", script, str(world.uds)], input=json.dumps(jwk).encode(), env=environment
        )
        assert json.loads(found.stdout)["code"] == "attestation.process"


@pytest.mark.requirement("ENROL-07")
async def test_what_is_no_request_of_this_door_costs_nothing_else(tmp_path):
    async with served(tmp_path) as world:
        good = signed_body(await challenge_of(world), fresh_key())
        text = json.dumps(good)
        for body, status in (
            (b"", 400),
            (b"[]", 400),
            (b"{", 400),
            (b'{"key": NaN}', 400),
            (text.replace("{", '{"proof": "x", ', 1).encode(), 400),
            (json.dumps({**good, "agent": "scout"}).encode(), 400),
            (json.dumps({**good, "key": {**good["key"], "d": good["key"]["x"]}}).encode(), 400),
            (json.dumps({**good, "csr": "AAAA"}).encode(), 400),
            (json.dumps({**good, "measured": {"prompt_digest": "x"}}).encode(), 400),
            (json.dumps({**good, "measured": {"unknown": "x"}}).encode(), 400),
            (b" " * 300_000, 413),
        ):
            found, problem = await world.post("enrol", body)
            assert found == status, problem
            assert problem["branch"] == "malformed"
        assert (await world.post("enrol", good, kind="text/plain"))[0] == 415
        assert (await world.post("enrol", good, host="evil.test"))[0] == 421
        assert (await world.post("enrol", good, origin="https://evil.test"))[0] == 403
        assert (await world.post("nothing", good))[0] == 404
        assert world.entries(Tag.WORKLOAD_ENROLLED) == []


@pytest.mark.requirement("ENROL-07")
async def test_a_bearer_or_a_connection_alone_renews_nothing(tmp_path):
    """The socket's other end is of an agent's user, and still that is no instance's key."""
    async with served(tmp_path) as world:
        for name in ("renew", "end", "sub-agents"):
            assert (await over_unix(world, name, {}))[0] == 401
            assert (await world.post(name, {}))[0] == 401
            found = await world.post(name, {}, authorization="Bearer x")
            assert (found[0], found[1]["code"]) == (401, "proof.credential")


@pytest.mark.requirement("ENROL-03")
async def test_two_who_bring_one_join_token_at_once_are_one(tmp_path):
    async with served(tmp_path) as world:
        token = world.workloads.attestor.new_join_token("first", AgentId("scout"))
        found: list[int] = []

        async def ask() -> None:
            body = signed_body(await challenge_of(world), fresh_key(), {"type": "join_token", "token": token})
            found.append((await world.post("enrol", body))[0])

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(ask)
        assert sorted(found) == [200] + [401] * 7
        assert len(world.entries(Tag.WORKLOAD_ENROLLED)) == 1


@pytest.mark.requirement("ENROL-07")
async def test_errors_are_of_the_family_for_the_client_too(tmp_path):
    nobody = {"scout": [["unix:uid:4000000000"]]}
    async with served(tmp_path, attestation=nobody) as world, world.client(uds=True) as client:
        key = fresh_key()
        error = await raised(client.enrol(await client.challenge(), key=key, attestation=UNIX))
        assert isinstance(error, Refused)
        assert error.code == "attestation.unknown"
        other = {"type": "other"}
        error = await raised(client.enrol(await client.challenge(), key=key, attestation=other))
        assert isinstance(error, Malformed)
