"""An agent on an API and on language models, through the real server and its broker: scenarios S-02 and S-07."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from answerable.core.lease.name import lease_name
from answerable.core.ledger.tags import Tag
from tests.stand_ins.authorization_server import SECRET, AuthorizationServer, authorization_server
from tests.stand_ins.model_provider_stand_in import StandIn, deputy_validity
from tests.stand_ins.resource_server import ResourceServer
from tests.worlds.brokered_http import desks
from tests.worlds.http_target import api_of, directly
from tests.worlds.model_provider import ASKED, KEY

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture
def api(server: AuthorizationServer) -> Iterator[ResourceServer]:
    with api_of(server) as running:
        yield running


@pytest.fixture
def provider() -> Iterator[StandIn]:
    with deputy_validity(KEY) as running:
        yield running


@pytest.mark.requirement("HTTPLEASE-14")
async def test_an_agent_reads_its_case_and_the_token_that_did_it_is_good_for_nothing(
    tmp_path, server, api, provider
):
    async with desks(tmp_path, server, api, provider) as found:
        key = await found.crm.agent()
        said = await found.crm.does_call(key, "read", path="/cases/7/notes", headers={"accept": "text/plain"})
        assert not said["result"]["isError"], said["text"] + found.home.said
        assert said["result"]["structuredContent"]["json"]["path"] == "/cases/7/notes", said["text"]
        action = said["result"]["_meta"]["answerable/action"]
        seen = api.seen[-1]
        token = seen.header("authorization").removeprefix("Bearer ")
        assert seen.header("user-agent") == f"answerable/{action}"
        assert await directly(api.url, token) == 401, "used directly, the API refuses it"
        before = len(api.seen)
        for path in ("/cases/8", "/cases/7/../8", "/cases/7/%2e%2e/8"):
            refused = await found.crm.does_call(key, "read", path=path)
            assert "error" in refused or refused["result"]["isError"], path
        assert len(api.seen) == before, "nothing was sent"
        echoed = await found.crm.does_call(key, "read", path="/cases/7/echo")
        second = api.seen[-1].header("authorization").removeprefix("Bearer ")
        assert second != token
        assert second not in echoed["text"]
        await found.home.stop(signal.SIGTERM)
        intent, outcome = found.crm.of_action(action)
        assert intent["lease"] == lease_name(bytes.fromhex(action))
        assert outcome["session"]["http_x_request_id"].startswith("srv-")
        held = found.crm.shown("crm-secret", "provider-key")
        for secret in (SECRET, SECRET.replace(" ", "+"), token, second):
            assert secret.encode() not in held


@pytest.mark.requirement("MODELLEASE-06")
async def test_an_agent_in_a_loop_is_stopped_by_its_budget_and_never_sees_the_key(
    tmp_path, server, api, provider
):
    async with desks(tmp_path, server, api, provider) as found:
        key = await found.crm.agent()
        listed = await found.models.does_call(key, "list_models")
        assert [one["model"] for one in listed["result"]["structuredContent"]["models"]] == ["small-1"], (
            listed["text"]
        )
        most = {**ASKED, "tokens_max": 800, "cost_max": 20}
        other = await found.models.does_call(key, "chat", **{**most, "model": "large-1"})
        assert "error" in other or other["result"]["isError"]
        asked = len(provider.asked)
        done = used = cost = 0
        for _ in range(60):
            said = await found.models.does_call(key, "chat", **most)
            if "error" in said or said["result"].get("isError"):
                break
            done += 1
            used += said["result"]["structuredContent"]["usage"]["total_tokens"]
            cost += said["result"]["structuredContent"]["cost"]["minor_units"]
        assert "mandate.budget_spent" in said["text"] or "budget" in said["text"], said["text"]
        assert len(provider.asked) == asked + done, "what the budget refuses is not sent"
        assert done > 3, "what was not used came back"
        assert used <= 1_000
        assert cost <= 200
        await found.home.stop(signal.SIGTERM)
        assert KEY.encode() not in found.models.shown("crm-secret", "provider-key")
        outcomes = [one for one in found.home.entries(Tag.OUTCOME) if one.get("returned")]
        assert any("money:USD" in one["returned"] for one in outcomes)
