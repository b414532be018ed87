"""What was accepted once, shown again after what remembered it was lost."""

from __future__ import annotations

import pytest

from answerable.core.mandate import oauth_terms as oauth
from answerable.testing.samples import signing_key
from answerable.wiring.proofs import FILE
from tests.worlds.token import succeeded, token_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("REPLAY-01")]


def told(answer):
    return answer.status_code, answer.json().get("answerable_code")


def table_of(home):
    [found] = home.rglob(FILE)
    return found


async def test_an_assertion_that_was_used_is_not_used_again_after_the_store_was_lost(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        port = int(world.url.rpartition(":")[2])
        # It lives for five minutes more, and was made by a client whose clock is right.
        second = world.now() // 1000
        stolen = world.assertion("orchestrator", iat=second, exp=second + 300)
        asked = {"by": "assertion", "client_assertion": stolen}
        assert told(await world.exchange("orchestrator", "m-1", **asked)) == (200, None)
        assert told(await world.exchange("orchestrator", "m-1", **asked)) == (401, "client.replay")
    async with token_world(tmp_path, port=port) as world:
        # One by the uses that are still there, the other by its age, once the next second has begun.
        refused = {(401, "client.replay"), (401, "client.forgotten")}
        assert told(await world.exchange("orchestrator", "m-1", **asked)) in refused
    table_of(tmp_path).unlink()
    while world.now() // 1000 == second:
        pass
    async with token_world(tmp_path, port=port) as world:
        assert told(await world.exchange("orchestrator", "m-1", **asked)) == (401, "client.forgotten")
        assert told(await world.exchange("orchestrator", "m-1", by="assertion")) == (200, None)


@pytest.mark.requirement("DPOP-15")
async def test_an_assertion_that_was_used_is_not_used_again_with_an_older_store_put_back(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        port = int(world.url.rpartition(":")[2])
        older = table_of(tmp_path).read_bytes()
        second = world.now() // 1000
        stolen = world.assertion("orchestrator", iat=second, exp=second + 300)
        asked = {"by": "assertion", "client_assertion": stolen}
        assert told(await world.exchange("orchestrator", "m-1", **asked)) == (200, None)
    table = table_of(tmp_path)
    with table.open("r+b") as file:  # The very same file, as `cp` restores it.
        file.write(older)
        file.truncate()
    while world.now() // 1000 == second:
        pass
    async with token_world(tmp_path, port=port) as world:
        assert told(await world.exchange("orchestrator", "m-1", **asked)) == (401, "client.forgotten")
        assert told(await world.exchange("orchestrator", "m-1", by="assertion")) == (200, None)


async def test_one_that_does_not_say_when_it_was_made_counts_as_old_as_it_can_be(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        second = world.now() // 1000
        for end in (60, 300):
            undated = world.assertion("orchestrator", iat=None, exp=second + end)
            answer = await world.exchange("orchestrator", "m-1", by="assertion", client_assertion=undated)
            assert told(answer) == (401, "client.forgotten")
        ahead = world.assertion("orchestrator", iat=second + 10, exp=second + 60)
        answer = await world.exchange("orchestrator", "m-1", by="assertion", client_assertion=ahead)
        assert told(answer) == (401, "client.time")


async def test_a_process_whose_store_was_taken_away_believes_no_assertion_any_more(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        assert told(await world.exchange("orchestrator", "m-1", by="assertion")) == (200, None)
        table_of(tmp_path).unlink()
        assert told(await world.exchange("orchestrator", "m-1", by="assertion")) == (401, "client.forgotten")


async def test_a_proof_of_possession_that_was_used_is_not_used_again_after_the_store_was_lost(tmp_path):
    key = signing_key("orchestrator")
    async with token_world(tmp_path) as world:
        await world.mandate()
        port = int(world.url.rpartition(":")[2])
        stolen = {"dpop": world.proof(key, world.url + "/oauth/token")}
        form = {
            "grant_type": oauth.GRANT_EXCHANGE,
            "subject_token": "m-1",
            "subject_token_type": oauth.TYPE_MANDATE,
        }
        first = await world.post("/oauth/token", "orchestrator", form, by="assertion", headers=stolen)
        assert told(first) == (200, None)
        again = await world.post("/oauth/token", "orchestrator", form, by="assertion", headers=stolen)
        assert told(again) == (401, "dpop.replay") or again.json()["error"] == "invalid_dpop_proof"
    table_of(tmp_path).unlink()
    async with token_world(tmp_path, port=port) as world:
        after = await world.post("/oauth/token", "orchestrator", form, by="assertion", headers=stolen)
        assert after.json()["error"] == "use_dpop_nonce"
        token = first.json()["access_token"]
        assert succeeded(await world.call("orchestrator", chain=(token,), dpop=True))
