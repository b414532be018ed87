"""Granted against used over the control API: every answer as the OpenAPI document says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from answerable.apps.control_api.application import control_app
from answerable.core.canonical import parse
from answerable.core.lease.scope import filled
from answerable.core.lease.use import Right, Used, use_record
from answerable.errors import Unavailable
from answerable.flows.leases.count_lease_use import leased_capabilities
from answerable.flows.state.lease_side import LeaseSide
from answerable.testing.builders import Bench
from tests.attack.test_lease_use import GRANTS, READ, acts, documents, told
from tests.unit.apps.control_api.test_control_api import client_of
from tests.worlds.asked_index import IndexAtHand

pytestmark = pytest.mark.anyio


class NarrowingBroker:
    """Port LeaseBroker, as far as it tells of rights. fault: why it cannot."""

    fault: Unavailable | None = None

    async def rights(self, target: str, grants: Any) -> list[Right]:
        if self.fault is not None:
            raise self.fault
        return [Right(name, name, is_told=name != "rows") for name in grants]

    async def narrowed(self, target: str, grants: Any, kept: Any) -> Any:
        return {name: grants[name] for name in kept} or None


@pytest.fixture
async def bench() -> Bench:
    bench = await Bench().registered(documents())
    bench.live.leases = LeaseSide(broker="broker", asks=NarrowingBroker())
    await bench.issue()
    await acts(bench, told("cases"))
    return bench


def name_of(bench: Bench) -> str:
    return next(
        name
        for name, one in leased_capabilities(bench.authority.registry).items()
        if one.capability.target == READ
    )


async def test_what_is_granted_used_and_less_of_it_is_told(bench):
    name = name_of(bench)
    async with client_of(
        control_app(SimpleNamespace(walk=bench.walk, searches=IndexAtHand(bench.recorder)))
    ) as client:
        (listed,) = [one for one in (await client("list_lease_rights"))["items"] if one["capability"] == name]
        assert [one["place"] for one in listed["rights"]] == ["cases", "rows"]
        assert (listed["target"], listed["fault"]) == ("crm-db", "")
        page = await client("count_lease_use", {"since": "0"})
        assert page["templates"][name] == listed["template"]
        tally = page["tallies"][name]
        assert (tally["told"], tally["rights"]["cases"]["sure"]) == (1, 1)
        again = await client("count_lease_use", {"start": str(page["end"])})
        assert again["tallies"] == {}
        asked = {"capability": name, "template": listed["template"], "kept": ["cases"]}
        document = (await client("narrow_lease", asked))["document"]
        assert document["spec"]["lease"]["grants"] == {"cases": GRANTS["cases"]}
        (then,) = (await client("tell_lease_rights", {"documents": [document]}))["leases"]
        assert [one["place"] for one in then["rights"]] == ["cases"]
        assert (await client("narrow_lease", {**asked, "kept": []}))["document"] is None
        stale = await client("narrow_lease", {**asked, "template": "0" * 64}, status=403)
        assert stale["code"] == "lease.template"


async def test_what_is_no_question_is_said_to_be_none(bench):
    document: Any = parse(bench.authority.registry.documents()[f"Capability/{name_of(bench)}"])
    elsewhere = {**document, "spec": {**document["spec"], "server": "nowhere"}}
    async with client_of(
        control_app(SimpleNamespace(walk=bench.walk, searches=IndexAtHand(bench.recorder)))
    ) as client:
        assert (await client("count_lease_use", {"since": "yesterday"}, status=400))["code"] == "request.body"
        odd = {
            "capability": name_of(bench),
            "template": leased_capabilities(bench.authority.registry)[name_of(bench)].template,
        }
        assert (await client("narrow_lease", {**odd, "kept": ["x"] * 2_001}, status=400))[
            "code"
        ] == "request.body"
        unknown = await client("tell_lease_rights", {"documents": [elsewhere]}, status=404)
        assert unknown["code"] == "server.unknown"
        assert (await client("tell_lease_rights", {"documents": [{}]}, status=400))["code"] == "request.body"


async def test_a_target_that_the_broker_does_not_know_hides_no_other(bench):
    broker = bench.live.leases.asks
    async with client_of(
        control_app(SimpleNamespace(walk=bench.walk, searches=IndexAtHand(bench.recorder)))
    ) as client:
        broker.fault = Unavailable("no such target", code="broker.failed", port="lease_broker")
        found = (await client("list_lease_rights"))["items"]
        assert {(one["fault"], len(one["rights"])) for one in found} == {("no such target", 0)}
        broker.fault = Unavailable("away", code="broker.unreachable", port="lease_broker")
        assert (await client("list_lease_rights", status=503))["code"] == "broker.unreachable"


async def test_the_example_scope_is_the_one_that_was_decided(bench):
    """So that what these tests tell is what a broker would have told."""
    used = use_record(
        Used(frozenset({"cases"})), filled(GRANTS, {"argument.case": "4711", "agent": "scout"}).hex
    )
    assert told("cases").used == used
