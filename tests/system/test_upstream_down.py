"""A server that cannot be started: the log says so, once, and where its own words are. And one that has not started
yet: what is asked of it waits."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import anyio
import pytest

from answerable.adapters.mcp_upstream.link import Link
from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.api import registry_answers
from answerable.apps.cli.checks import _server
from answerable.core.action.quota import RefusalQuota
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.documents import Server
from tests.worlds.answers import filled
from tests.worlds.gateway import World, gateway_world, modern, modern_headers, until

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("WORDS-11")
async def test_a_server_that_ends_at_once_is_told_once_however_often_it_is_tried(tmp_path, caplog):
    settings = UpstreamSettings(
        log_directory=tmp_path, restart_delay_seconds=0.01, restart_delay_seconds_max=0.01
    )
    program = "open('tries', 'a').write('.'); import nosuch"
    server = Server(name="crm", command="python3", args=("-c", program), cwd=str(tmp_path))
    link = Link(server, settings=settings)
    tries = tmp_path / "tries"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(link.run)
        await until(lambda: tries.exists() and len(tries.read_text()) > 2, seconds=20)
        tasks.cancel_scope.cancel()
    told = [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith("server crm is down")
    ]
    assert len(told) == len(set(told)) == 1
    assert str(tmp_path / "crm.log") in told[0]
    assert "No module named 'nosuch'" in (tmp_path / "crm.log").read_text()


@pytest.mark.requirement("WORDS-11")
def test_doctor_finds_a_server_that_is_down():
    found = _server(
        filled(registry_answers.Server, name="crm", transport="stdio", target="python3 crm.py", state="down")
    )
    assert (found.name, found.state) == ("server crm", "fault")
    assert "`upstream-logs`" in found.advice


@pytest.mark.requirement("CLI-11")
@pytest.mark.parametrize(
    ("transport", "where"), [("http", "that of the server"), ("broker", "`broker.targets`")]
)
def test_a_server_that_is_no_program_of_ours_is_not_looked_for_among_their_logs(transport, where):
    found = _server(
        filled(registry_answers.Server, name="host", transport=transport, target="host", state="down")
    )
    assert found.state == "fault"
    assert where in found.advice
    assert "upstream-logs" not in found.advice


@pytest.mark.requirement("NEIGHBOUR-22")
async def test_calls_and_lists_that_come_before_the_first_list_was_read_wait_for_it(tmp_path):
    patient = UpstreamSettings(connect_wait_seconds=60)
    async with gateway_world(tmp_path, "crm", settings=patient) as world:
        world.mandate("crm.read", "crm.case")
        said: list[Any] = []

        async def asks(method: str, params: dict[str, Any], name: str = "") -> None:
            said.append(
                (await world.post("crm", modern(method, params), **modern_headers(method, name))).json()
            )

        starts_anew(world)
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                case = {"name": "customer_read", "arguments": {"case_id": "4711"}}
                tasks.start_soon(asks, "tools/call", case, "customer_read")
            tasks.start_soon(asks, "resources/read", {"uri": "crm://case/4711"}, "crm://case/4711")
            tasks.start_soon(asks, "tools/list", {})
        assert [one for one in said if "error" in one or one["result"].get("isError")] == []
        assert world.entries(Tag.REFUSAL) == []


@pytest.mark.requirement("NEIGHBOUR-22")
async def test_a_server_that_cannot_be_started_gets_no_agent_held(tmp_path):
    settings = UpstreamSettings(connect_wait_seconds=0.2)
    async with gateway_world(tmp_path, "crm", settings=settings) as world:
        world.mandate("crm.read")
        world.walk.counters.quota = RefusalQuota(recorded_max=2, window_ms=60_000)
        starts_anew(world, command=sys.executable, args=("-c", "import nosuch"))
        case = {"name": "customer_read", "arguments": {"case_id": "4711"}}
        for _ in range(5):
            body, fields = modern("tools/call", case), modern_headers("tools/call", "customer_read")
            said = (await world.post("crm", body, **fields)).json()
            assert said["error"]["data"]["code"] == "upstream.unknown"
            assert "has not been read yet" in said["error"]["message"]
        assert world.entries(Tag.REFUSAL) == []
        starts_anew(world)
        await until(lambda: world.upstream._links["crm"].catalogue is not None, seconds=60)
        assert "error" not in (await world.post("crm", body, **fields)).json()


@pytest.mark.requirement("NEIGHBOUR-22")
async def test_a_server_that_announces_other_tools_and_does_not_list_them_gets_no_agent_held(
    tmp_path, monkeypatch
):
    async def never(_link: Link, **_: Any) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(Link, "refresh", never)
    settings = UpstreamSettings(connect_wait_seconds=0.1)
    async with gateway_world(tmp_path, "noticing", settings=settings) as world:
        world.mandate("thing.touch")
        world.walk.counters.quota = RefusalQuota(recorded_max=2, window_ms=60_000)
        world.upstream._links["noticing"]._announced()
        thing = {"name": "touch", "arguments": {"uri": "thing://a"}}
        for _ in range(5):
            body, fields = modern("tools/call", thing), modern_headers("tools/call", "touch")
            said = (await world.post("noticing", body, **fields)).json()
            assert said["error"]["data"]["code"] == "upstream.unknown"
        assert world.entries(Tag.REFUSAL) == []


def starts_anew(world: World, **changed: Any) -> None:
    """As after a start: nothing is known of what the server offers, and it is being connected."""
    world.upstream.apply(())
    world.upstream.apply(
        [replace(one, **changed) for one in world.walk.authority.registry.current.servers.values()]
    )
