"""An instance acts that has drifted, or that was ended on its way from the proof to the effect."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unverified
from answerable.flows.state.known_callers import instance_stands
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.samples import OWNERSHIP
from tests.worlds.instance import MANIFEST, InstanceWorld
from tests.worlds.parts import to_govern, to_list

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

KNOWN = CallerIdentity(
    instance="spiffe://answerable.test/agent/scout/1", source="unix", grade="kernel", manifest=MANIFEST
)


@pytest.fixture
def world() -> InstanceWorld:
    return InstanceWorld()


async def acted(
    bench: Bench,
    identity: CallerIdentity,
    *,
    target: str = "get_case",
    server: str = "crm",
    mandate: str = "m-1",
) -> None:
    action, caller = bench.request(target, {"case": "4711"}, server=server, mandate=mandate)
    await govern_action(*to_govern(bench.walk), action, structs.replace(caller, identity=identity))


@pytest.mark.anyio
@pytest.mark.requirement("IDENT-05")
async def test_a_drifted_agent_is_refused_and_that_is_on_record() -> None:
    bench = await Bench().registered()
    await bench.issue()
    with pytest.raises(Refused) as told:
        await acted(bench, structs.replace(KNOWN, drifted=True))
    assert told.value.code == "agent.drifted"
    assert not bench.upstream.effects
    [leaf] = bench.entries(Tag.REFUSAL)
    assert (leaf["code"], leaf["instance"], leaf["manifest"]) == ("agent.drifted", KNOWN.instance, MANIFEST)
    assert leaf["evidence"] == {"drifted": True, "grade": "kernel", "source": "unix"}
    await acted(bench, KNOWN)
    assert len(bench.upstream.effects) == 1


@pytest.mark.anyio
@pytest.mark.requirement("IDENT-05")
async def test_a_drifted_agent_that_may_go_on_is_marked() -> None:
    documents = bench_documents()
    for one in documents:
        assert isinstance(one, dict)
        if one["kind"] == "Agent":
            assert isinstance(one["spec"], dict)
            one["spec"]["drift"] = "mark"
    bench = await Bench().registered(documents)
    await bench.issue()
    await acted(bench, structs.replace(KNOWN, drifted=True))
    [leaf] = bench.entries(Tag.INTENT)
    assert leaf["evidence"] == {"drifted": True, "grade": "kernel", "source": "unix"}


@pytest.mark.anyio
@pytest.mark.requirement("IDENT-01")
async def test_disabling_the_owner_ends_every_use() -> None:
    def documents(status: str) -> list[JSONValue]:
        """Carol owns the capabilities, alice the agents and why they exist."""
        found = bench_documents()
        for one in found:
            assert isinstance(one, dict)
            assert isinstance(one["spec"], dict)
            if one["kind"] == "Capability":
                one["spec"]["ownership"] = {**OWNERSHIP, "owner": "carol"}
            if one["kind"] == "Principal" and one["metadata"] == {"name": "alice"}:
                one["spec"]["status"] = status
        return found

    bench = await Bench().registered(documents("active"))
    await bench.issue()
    await bench.issue("m-2", principal="bob")
    await acted(bench, KNOWN)
    await bench.registered(documents("disabled"))
    assert bench.authority.registry.current.capabilities
    assert not bench.authority.registry.current.agents
    for identity in (KNOWN, CallerIdentity()):
        for mandate in ("m-1", "m-2"):
            with pytest.raises(Refused) as told:
                await acted(bench, identity, mandate=mandate)
            assert told.value.code == "agent.inactive"
    with pytest.raises((Refused, Unverified)):
        await bench.issue("m-3")
    assert len(bench.upstream.effects) == 1


@pytest.mark.anyio
@pytest.mark.requirement("IDENT-09")
async def test_what_is_asked_for_and_not_registered_is_noted_without_a_write() -> None:
    bench = await Bench().registered()
    await bench.issue()
    for target, server in (("drop_all", "crm"), ("get_case", "shadow")):
        with pytest.raises(Refused):
            await acted(bench, KNOWN, target=target, server=server)
    assert {(one.kind, one.name) for one in bench.walk.verification.sightings.take()} == {
        ("tool", "crm/drop_all"),
        ("server", "shadow"),
    }


@pytest.mark.anyio
@pytest.mark.requirement("IDENT-02")
async def test_an_instance_that_ends_while_its_intent_is_on_its_way_to_the_disk_starts_nothing(
    world: InstanceWorld,
) -> None:
    bench = await Bench(clock=world.clock).registered()
    await bench.issue()
    identity = CallerIdentity(instance=str(world.sub.id), source="parent", grade="sidecar")
    asked: list[bool] = []

    def stands(identity: CallerIdentity, now: UnixMillis) -> bool:
        if not asked:
            world.instances.end(world.instance.id, because="retired")
        asked.append(instance_stands(world.instances, world.trust, identity, now))
        return asked[-1]

    bench.walk.verification.stands = stands
    await acted(bench, identity)
    assert asked == [False]
    assert not bench.upstream.effects
    [end] = bench.entries(Tag.OUTCOME)
    assert end["status"] == "not_started"


@pytest.mark.anyio
@pytest.mark.requirement("IDENT-02")
async def test_an_instance_that_ended_or_drifted_is_shown_nothing_any_more(world: InstanceWorld) -> None:
    bench = await Bench(clock=world.clock).registered()
    await bench.issue()
    bench.walk.verification.stands = partial(instance_stands, world.instances, world.trust)
    _, caller = bench.request("get_case", {"case": "4711"})
    identity = CallerIdentity(instance=str(world.instance.id), source="unix", grade="kernel")
    alive = structs.replace(caller, identity=identity)
    drifted = structs.replace(caller, identity=structs.replace(identity, drifted=True))
    foreign = structs.replace(
        caller, identity=CallerIdentity(instance="spiffe://corp.example/x", source="spiffe", grade="gateway")
    )
    for one in (caller, alive, foreign):
        assert list_capabilities(*to_list(bench.walk), one, "m-1", "crm")
    assert not list_capabilities(*to_list(bench.walk), drifted, "m-1", "crm")
    world.instances.end(world.instance.id, because="retired")
    assert not list_capabilities(*to_list(bench.walk), alive, "m-1", "crm")
    for one in (caller, foreign):
        assert list_capabilities(*to_list(bench.walk), one, "m-1", "crm")
