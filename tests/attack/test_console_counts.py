"""What the console counts and puts first is what the gateway would do, and what other doors tell."""

from __future__ import annotations

import re
from itertools import pairwise
from types import SimpleNamespace

import anyio.lowlevel
import pytest

from answerable.apps.console import agent_pages
from answerable.core.containment.hold import holdable
from answerable.core.identity.names.principal import AgentId
from answerable.flows.drills.report_containment import record_reports
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.tokens import trace_mandate
from answerable.testing.builders import POLICIES, bench_documents
from answerable.testing.soft_passkey import SoftPasskey
from tests.probes.console_client import Client, console_house
from tests.worlds.duty import READS_WAIT, duty_document, waiting
from tests.worlds.parts import to_hold
from tests.worlds.passkey import enrolled

pytestmark = pytest.mark.anyio


def figure(page: str, words: str) -> int:
    found = re.search(rf'<span class="number">(\d+)</span> {words}', page)
    assert found is not None, page
    return int(found[1])


@pytest.mark.requirement("CEREMONY-12")
@pytest.mark.parametrize("kind", ["agent", "owner", "environment", "everything"])
async def test_an_agent_that_stands_still_is_not_counted_as_active(kind):
    house = await console_house()
    device = SoftPasskey(seed="carol")
    await enrolled(house.bench, "carol", device)
    client = Client(house.app)
    await client.sign_in(device)
    agents = house.bench.authority.registry.current.agents
    scout = agents[AgentId("scout")]
    names = {"agent": "scout", "owner": scout.ownership.owner, "environment": scout.environment}
    name = names.get(kind, "")
    before = figure((await client.page("/")).text, "agents active")
    assert before == len(agents)
    in_reach = [
        one
        for one, agent in agents.items()
        if kind == "everything" or name in (one, agent.ownership.owner, agent.environment)
    ]
    await place_hold(*to_hold(house.bench.walk), holdable(kind, name), by="uid:1000")
    page = (await client.page("/")).text
    assert figure(page, "agents active") == before - len(in_reach)
    assert f"{len(in_reach)} stopped" in page
    assert in_reach
    # The page of each says the same, and which hold it is.
    for one in in_reach:
        assert "It is held" in (await client.page(f"/agents/{one}")).text
    assert (await client.page("/agents")).text.count("state-stopped") == len(in_reach)


@pytest.mark.requirement("NEIGHBOUR-16")
async def test_the_page_of_an_agent_gives_way_while_thousands_of_mandates_are_looked_at(monkeypatch):
    house = await console_house()
    device = SoftPasskey(seed="carol")
    await enrolled(house.bench, "carol", device)
    client = Client(house.app)
    await client.sign_in(device)
    looked = [0]

    def state(_walk, _mandate):
        looked[0] += 1
        return "closed", ""

    for where in (trace_mandate, agent_pages):
        monkeypatch.setattr(where, "mandate_state", state, raising=False)
    held = SimpleNamespace(agent="scout")
    monkeypatch.setattr(type(house.bench.authority.mandates), "all", lambda _: [held] * 10_000)
    seen = []

    async def beside():
        while True:
            await anyio.lowlevel.checkpoint()
            seen.append(looked[0])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beside)
        assert (await client.page("/agents/scout")).status_code == 200
        tasks.cancel_scope.cancel()
    assert looked[0] == 10_000
    assert max(after - before for before, after in pairwise(seen)) <= 64


@pytest.mark.requirement("CEREMONY-13")
async def test_a_critical_question_stands_before_a_low_one_whosever_turn_it_is():
    house = await console_house()
    documents = bench_documents(POLICIES + READS_WAIT)
    for one in documents:
        match one:
            case {"kind": "Capability", "metadata": {"name": "crm.refund"}, "spec": dict(spec)}:
                spec["tier"] = 3
    duty = duty_document(escalation=[{"afterSeconds": 60, "ask": "second"}])
    await house.bench.registered([*documents, duty])
    await house.bench.issue()
    device = SoftPasskey(seed="carol")
    await enrolled(house.bench, "carol", device)
    carol = Client(house.app)
    await carol.sign_in(device)
    low = (await house.bench.act()).approval
    assert low is not None
    house.wait(61)
    critical = await waiting(house.bench)
    for path in ("/approvals", "/approvals?all"):
        text = (await carol.page(path)).text
        assert text.count("your turn") == 1, "the low one was passed on to her"
        assert text.index(critical.id) < text.index(low.id), path


@pytest.mark.requirement("CEREMONY-14")
async def test_the_page_of_a_stop_has_what_the_command_has():
    house = await console_house()
    client = await house.signed_in()
    await house.bench.issue("m-1")
    await house.bench.act()
    asked = await waiting(house.bench)
    placed = await place_hold(
        *to_hold(house.bench.walk), holdable("agent", "scout"), by="uid:1000", reason="odd"
    )
    await record_reports(*to_hold(house.bench.walk), house.bench.walk.limits)
    text = " ".join(re.sub(r"<[^>]*>", " ", (await client.page(f"/holds/{placed.hold.id}")).text).split())
    for piece in (
        "why odd",
        "placed by",
        "to lift it",
        "held 1 open mandates",
        "mandate m-1",
        f"approval {asked.id}",
        "cut 0 calls and streams",
        "last effect crm.read",
        "1 reads",
        "What was done before",
        "report entry",
    ):
        assert piece in text, (piece, text)


@pytest.mark.requirement("CEREMONY-15")
async def test_passkeys_that_come_in_push_no_action_out_of_the_latest():
    house = await console_house()
    client = await house.signed_in()
    await house.bench.issue()
    await house.bench.act()
    for number in range(8):
        await enrolled(house.bench, "bob", SoftPasskey(seed=f"bob {number}"))
    page = (await client.page("/")).text
    assert "tag-intent" in page or "tag-outcome" in page, page
    assert "brought in a passkey" not in page
    assert "brought in a passkey" in (await client.page("/live")).text
