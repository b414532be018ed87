"""A held agent at every other door: tokens, chains of hops, enrolment, renewal, documents, what people signed."""

from __future__ import annotations

import anyio
import pytest

from answerable.adapters.sqlite import SqliteTokenRegister
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId, HoldTarget, holdable
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Refused
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.validity.allow_restart import require_may_return
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.workloads.enrol_workload import enrol, renew
from answerable.flows.workloads.hand_out_svid import jwt_svid
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from tests.attack.test_revocation_races import NAMES, chained, named
from tests.worlds.delegation_lineage import asked
from tests.worlds.enrolment import enrolling, evidence_of, key_of
from tests.worlds.hold import lift, stop
from tests.worlds.parts import to_govern, to_hold
from tests.worlds.publication import STOP, guarded, propose, publish
from tests.worlds.tree import tree_world

pytestmark = pytest.mark.anyio


def held_name(what: RevocationTarget) -> HoldTarget:
    if what.kind == "agent" and what.name.startswith("spiffe:"):
        return holdable("instance", what.name)
    return holdable(what.kind, what.name)


IN_CHAINS = [which for which, (kind, _) in NAMES.items() if kind != "token"]


@pytest.mark.requirement("HOLD-03")
@pytest.mark.parametrize("which", IN_CHAINS)
async def test_a_hold_on_anything_that_a_chain_came_by_stops_what_was_decided_and_all_that_comes_after(which):
    world, node, consent = await chained()
    what, bench = held_name(named(*NAMES[which], node, consent)), world.bench
    submit = bench.recorder.ledger.submit

    def held_meanwhile(entry: Entry) -> object:
        if entry.tag == Tag.INTENT:
            bench.authority.holds.place(
                Hold(id=HoldId("hold_" + "x" * 22), what=what, at=bench.clock.now(), by="uid:0")
            )
        return submit(entry)

    bench.recorder.ledger.submit = held_meanwhile
    answer = await govern_action(*to_govern(bench.walk), *asked(bench, node.chain))
    assert answer.outcome.status == "not_started"
    assert "was held before the start" in answer.outcome.detail
    assert bench.upstream.effects == []
    bench.recorder.ledger.submit = submit
    with pytest.raises(Refused) as raised:
        await govern_action(*to_govern(bench.walk), *asked(bench, node.chain))
    assert raised.value.code == f"held.{what.kind}"


@pytest.mark.requirement("HOLD-05")
@pytest.mark.parametrize("which", IN_CHAINS)
async def test_what_is_in_flight_below_anything_that_is_held_is_cut_and_named(which):
    world, node, consent = await chained()
    what, bench = held_name(named(*NAMES[which], node, consent)), world.bench
    started = anyio.Event()

    async def hangs(_effect: object) -> None:
        started.set()
        await anyio.sleep_forever()

    bench.upstream.before = hangs
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(govern_action, *to_govern(bench.walk), *asked(bench, node.chain))
        await started.wait()
        placed = await place_hold(*to_hold(bench.walk), what, by="uid:0")
    [flying] = placed.in_flight
    assert placed.cut == 1
    assert [leaf["intent"] for leaf in bench.entries(Tag.INDETERMINATE)] == [flying.index]


@pytest.mark.requirement("HOLD-04")
@pytest.mark.parametrize(
    "what",
    [
        holdable("mandate", "m-1"), holdable("agent", "scout"), holdable("agent", "third"), holdable("owner", "alice"),
        holdable("key", signing_key("third").public.thumbprint), EVERYTHING,
    ],
    ids=str,
)  # fmt: skip
async def test_nothing_is_exchanged_handed_on_or_told_active_below_what_is_held(what):
    world = await tree_world(fresh(SqliteTokenRegister, entropy=SeededEntropy("places")))
    root = await world.root()
    below = await world.consented(root, "third")
    assert world.introspected(below)
    hold = (await stop(world.bench, what, by="dan")).hold
    assert not world.introspected(below)
    with pytest.raises(Refused) as raised:
        await world.own(below)
    assert raised.value.code == f"held.{what.kind}"
    with pytest.raises(Refused):
        await world.consented(root, "third")
    await lift(world.bench, hold, "bob")
    assert world.introspected(below)
    await world.own(below)


@pytest.mark.requirement("HOLD-04")
async def test_who_is_held_takes_nothing_that_others_hand_on():
    world = await tree_world(fresh(SqliteTokenRegister, entropy=SeededEntropy("places")))
    root = await world.root()
    await stop(world.bench, holdable("agent", "third"))
    with pytest.raises(Refused) as raised:
        await world.consented(root, "third")
    assert raised.value.code == "held.agent"


@pytest.mark.requirement("HOLD-12")
async def test_instances_end_with_their_sub_agents_and_come_back_only_after_the_lift_by_attesting_anew():
    bench, workloads = await enrolling()
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    sub = await enrol(workloads, evidence=parent.evidence, key=key_of("s-1"), parent=parent.id)
    other = await enrol(
        workloads, evidence=evidence_of("unix:uid:2000"), key=key_of("i-2"), process="boot:2:1"
    )
    placed = await place_hold(
        *to_hold(bench.walk), holdable("agent", "scout"), by="alice", workloads=workloads
    )
    assert set(placed.instances) == {parent.id, sub.id}
    assert placed.instances_count == 2
    assert [one.id for one in workloads.instances.live()] == [other.id]
    assert {leaf["because"] for leaf in bench.entries(Tag.WORKLOAD_ENDED)} == {"held", "parent.ended"}
    attempts = (
        lambda: enrol(workloads, evidence=evidence_of(), key=key_of("i-3"), process="boot:1:1"),
        lambda: enrol(workloads, evidence=evidence_of(), key=key_of("i-4"), process="boot:9:9"),
        lambda: enrol(workloads, evidence=parent.evidence, key=key_of("s-2"), parent=parent.id),
        lambda: renew(workloads, parent.id),
        lambda: jwt_svid(workloads, parent.id, ("spiffe://example.test/x",)),
    )
    for attempt in attempts:
        with pytest.raises(Refused) as raised:
            await attempt()
        assert raised.value.code in ("held.agent", "instance.ended", "instance.unknown")
    await lift(bench, placed.hold, "bob")
    # Neither the name nor the key comes back: the same process is attested anew.
    with pytest.raises(Refused):
        await renew(workloads, parent.id)
    with pytest.raises(Refused):
        await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    again = await enrol(workloads, evidence=evidence_of(), key=key_of("i-3"), process="boot:1:1")
    assert again.id != parent.id


@pytest.mark.requirement("HOLD-12")
async def test_an_instance_that_is_held_by_name_gets_no_document_and_no_sub_agent_while_its_siblings_do():
    bench, workloads = await enrolling()
    first = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    second = await enrol(workloads, evidence=evidence_of(), key=key_of("i-2"), process="boot:2:1")
    # Not ended, as where the process that placed it died right after.
    await place_hold(*to_hold(bench.walk), holdable("instance", str(first.id)), by="uid:0")
    for attempt in (
        renew(workloads, first.id),
        jwt_svid(workloads, first.id, ("spiffe://example.test/x",)),
        enrol(workloads, evidence=first.evidence, key=key_of("s-1"), parent=first.id),
    ):
        with pytest.raises(Refused) as raised:
            await attempt
        assert raised.value.code == "held.instance"
    assert await jwt_svid(workloads, second.id, ("spiffe://example.test/x",))


@pytest.mark.requirement("HOLD-12")
async def test_a_process_with_a_held_key_does_not_return_under_another_one():
    bench, workloads = await enrolling()
    await stop(bench, holdable("key", key_of("i-1").thumbprint))
    with pytest.raises(Refused) as raised:
        await require_may_return(workloads, key_of("i-1").thumbprint)
    assert raised.value.code == "held.key"


@pytest.mark.requirement("HOLD-13")
async def test_while_everything_stands_still_people_publish_policies_but_for_those_who_are_held():
    bench = await guarded()
    await stop(bench, EVERYTHING)
    await publish(bench, await propose(bench))
    await stop(bench, holdable("owner", "alice"))
    with pytest.raises(Refused) as raised:
        await propose(bench, STOP + " ")
    assert raised.value.code == "held.owner"
