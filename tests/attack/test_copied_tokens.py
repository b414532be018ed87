"""A token is copied whole: to another host, into another process, into one that got the number of the first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import httpx2
import pytest

from answerable.core.ledger.tags import Tag
from tests.probes.loud_skips import not_proven
from tests.stand_ins.other_host import Tapped, other_host, require_namespace
from tests.system.test_bound_tokens import acting, doors, exchanging, sent, sent_by_another
from tests.worlds.token import outcome_of, succeeded, token_world, why_not

RACERS = 64
PID_REUSE = Path(__file__).with_name("pid_reuse.py")

pytestmark = pytest.mark.requirement("REVOKE-18")


@pytest.mark.anyio
async def test_a_token_that_is_copied_to_another_host_is_of_no_use_there_while_its_holder_may_go_there(
    tmp_path,
):
    async with token_world(tmp_path) as world, other_host(int(world.url.rpartition(":")[2])) as there:
        await world.mandate()
        root, tapped = await world.root(), Tapped()
        # Not the network says no: with its key, the holder acts from there as well.
        assert succeeded(await world.call("orchestrator", chain=(root,), transport=there))
        assert succeeded(await world.call("orchestrator", chain=(root,), dpop=True, transport=there))
        # The token alone, with a key of the thief's own that is good for other things.
        for meta in (False, True):
            told = await world.call("stranger", chain=(root,), meta=meta, transport=there)
            assert "did not prove the hop's key" in why_not(told)
        assert [one["code"] for one in world.entries(Tag.REFUSAL)] == ["delegation.holder_binding_failed"] * 2
        bound = await world.call("stranger", chain=(root,), dpop=True, transport=there)
        assert (bound.status_code, outcome_of(bound)["error"]["data"]["code"]) == (401, "dpop.binding")
        bearer = await world.call("orchestrator", chain=(root,), dpop=True, scheme="Bearer", transport=there)
        assert bearer.status_code == 401
        # Everything that went over the wire, proof and all, a moment later.
        for dpop in (False, True):
            assert succeeded(await world.call("orchestrator", chain=(root,), dpop=dpop, transport=tapped))
            again = await there.send(tapped.heard)
            assert (again.status_code, "replay" in again.text) == (401, True), again.text
        assert len(world.entries(Tag.INTENT)) == 4


class Crowd(httpx2.AsyncHTTPTransport):
    """Whoever copied a request sends it as well, over connections of their own and at the same moment."""

    answers: list[httpx2.Response]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body, self.answers = await request.aread(), []

        async def one() -> None:
            async with httpx2.AsyncHTTPTransport() as own:
                copy = httpx2.Request(request.method, request.url, headers=request.headers, content=body)
                answer = await own.handle_async_request(copy)
                await answer.aread()
                self.answers.append(answer)

        async with anyio.create_task_group() as tasks:
            for _ in range(RACERS):
                tasks.start_soon(one)
        return self.answers[0]


@pytest.mark.anyio
@pytest.mark.requirement("DPOP-05")
async def test_of_64_copies_of_one_request_that_race_at_the_gateway_one_acts(tmp_path):
    async with token_world(tmp_path) as world, Crowd() as crowd:
        await world.mandate()
        root = await world.root()
        await world.call("orchestrator", chain=(root,), dpop=True, transport=crowd)
        acted = [one for one in crowd.answers if one.status_code == 200]
        refused = [outcome_of(one)["error"]["data"]["code"] for one in crowd.answers if one not in acted]
        assert [succeeded(one) for one in acted] == [True]
        assert refused == ["dpop.replay"] * (RACERS - 1)
        assert len(world.entries(Tag.INTENT)) == 1


@pytest.mark.anyio
async def test_a_token_of_a_process_is_of_no_use_to_a_process_with_another_network(tmp_path):
    require_namespace("--net")
    async with doors(tmp_path, unixUids=[os.getuid()]) as ours:
        async with ours.by_socket() as client:
            found = (await sent(client, exchanging())).json()
            assert succeeded(await sent(client, acting(found["delegation"])))
        # The file of the socket is there, too, and so is the user.
        stolen = await sent_by_another(ours.uds, acting(found["delegation"]), within=("unshare", "--net"))
        assert "did not prove the hop's key" in why_not(stolen)
        [refusal] = ours.world.entries(Tag.REFUSAL)
        assert (refusal["code"], refusal["proof"]["kind"]) == (
            "delegation.holder_binding_failed",
            "unix_peer",
        )
        own = await sent_by_another(ours.uds, exchanging(), within=("unshare", "--net"))
        assert own.status_code == 200, "as itself it is let in"


def test_a_token_of_a_process_is_of_no_use_to_the_next_process_with_its_number(tmp_path):
    """The kernel is asked for the very same number, in a PID namespace of its own, where the gateway runs, too."""
    require_namespace("--pid", "--fork", "--mount-proc")
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, str(PID_REUSE), str(tmp_path)],
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)},
    )
    if b"unshare" in done.stderr or b"last_pid" in done.stderr:
        not_proven(
            f"no PID namespace, as root has one: PID reuse is NOT PROVEN here: {done.stderr.decode()[:200]}",
            name="namespaces",
        )
    assert done.returncode == 0, done.stderr.decode()[-3_000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["numbers"][0] == said["numbers"][1], "the kernel gave the number again"
    assert (said["first"], said["second"]) == (True, False)
    assert said["refusals"] == ["delegation.holder_binding_failed"]
    assert said["own"] == 200
