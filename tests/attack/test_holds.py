"""Whoever is held tries to go on: by another door, with another mandate, in between, with the clock set back, alone."""

from __future__ import annotations

import itertools

import anyio
import anyio.lowlevel
import pytest

from answerable.adapters.sqlite import SqliteHoldRegister, SqliteRevocationRegister, SqliteStore
from answerable.adapters.system import SystemClock
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId, holdable
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.containment.refuse_held import open_stream, refuse_held
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.epochs import LookedAround, look_around
from tests.worlds.hold import REACHING, bench_to_hold, lift, stop
from tests.worlds.parts import to_list
from tests.worlds.revocation import act_as_instance
from tests.worlds.walk import cited

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("HOLD-02")
@pytest.mark.parametrize("which", REACHING)
async def test_an_action_within_reach_is_denied_on_record_with_the_hold_that_did_it(which):
    bench = await bench_to_hold()
    await act_as_instance(bench)
    what = REACHING[which]
    placed = await stop(bench, what)
    with pytest.raises(Refused) as raised:
        await act_as_instance(bench)
    assert raised.value.code == f"held.{what.kind}"
    assert what.name in raised.value.message
    assert "mail" not in raised.value.message
    assert len(bench.upstream.effects) == 1
    [leaf] = bench.entries(Tag.REFUSAL)
    assert (leaf["code"], leaf["by"]) == (f"held.{what.kind}", [f"held.{what.kind}", placed.hold.id])


@pytest.mark.requirement("HOLD-02")
async def test_names_of_others_hold_nobody():
    bench = await bench_to_hold()
    for kind, name in (
        ("agent", "rover"), ("vendor", "other"), ("mandate", "m-2"), ("owner", "carol"), ("tool", "crm/refund"),
        ("tool", "other/get_case"), ("server", "mail"), ("capability", "crm.refund"), ("tenant", "west"),
        ("environment", "staging"), ("instance", "spiffe://example.org/agent/scout/abd"), ("credential", "mail"),
    ):  # fmt: skip
        await stop(bench, holdable(kind, name))
    await act_as_instance(bench)
    assert len(bench.upstream.effects) == 1


@pytest.mark.requirement("HOLD-03")
@pytest.mark.parametrize("which", REACHING)
async def test_what_was_decided_and_has_not_started_when_it_is_held_does_not_start(which):
    bench = await bench_to_hold()
    await act_as_instance(bench)
    submit = bench.recorder.ledger.submit
    hold = sample(bench, REACHING[which])

    def held_meanwhile(entry):
        if entry.tag == Tag.INTENT:
            bench.authority.holds.place(hold)
        return submit(entry)

    bench.recorder.ledger.submit = held_meanwhile
    answer = await act_as_instance(bench)
    assert answer.outcome.status == "not_started"
    assert "was held before the start" in answer.outcome.detail
    assert len(bench.upstream.effects) == 1


def sample(bench: Bench, what, number: int = 1, *, ends: int = 0) -> Hold:
    now = bench.clock.now()
    return Hold(
        id=HoldId(f"hold_{number:022d}"), what=what, at=now, by="uid:0", expires_at=now + ends if ends else 0
    )


class Steps:
    """The steps of one action at which others may run, counted, and what is done at one of them."""

    def __init__(self, bench: Bench, epochs: LookedAround) -> None:
        self.count = 0
        self.at = -1
        self.run = lambda: None
        self.effect_at: list[int] = []
        submit, epoch = bench.recorder.ledger.submit, bench.authority.revocations.epoch
        standing, perform = bench.authority.holds.standing, bench.walk.verification.upstream.perform

        def stepped(call):
            def step(*given, **named):
                self.step()
                return call(*given, **named)

            return step

        async def performed(warrant, *, progress=None):
            self.effect_at.append(self.count)
            return await perform(warrant, progress=progress)

        bench.recorder.ledger.submit = stepped(submit)
        epochs.before = self.step
        bench.authority.revocations.epoch = stepped(epoch)
        bench.authority.holds.standing = stepped(standing)
        bench.walk.verification.upstream = type(
            "Noting",
            (),
            {
                "perform": staticmethod(performed),
                "__getattr__": lambda _, name: getattr(bench.upstream, name),
            },
        )()

    def step(self) -> None:
        number, self.count = self.count, self.count + 1
        if number == self.at:
            self.run()


@pytest.mark.requirement("HOLD-03")
async def test_at_whichever_step_a_hold_comes_nothing_starts_that_had_not_started():
    async def walked(at: int) -> tuple[Steps, Bench]:
        bench = await bench_to_hold()
        epochs = look_around(bench.walk)
        await cited(bench)
        steps = Steps(bench, epochs)
        steps.at = at
        steps.run = lambda: bench.authority.holds.place(sample(bench, holdable("agent", "scout")))
        end = ""
        try:
            end = (await bench.act()).outcome.status
        except Refused as refused:
            end = refused.code
        assert end in (("succeeded",) if steps.effect_at else ("not_started", "held.agent"))
        return steps, bench

    free, _ = await walked(-1)
    assert free.count > 4
    assert len(free.effect_at) == 1
    for at in range(free.count):
        steps, bench = await walked(at)
        late = [one for one in steps.effect_at if one > at]
        assert late == [], f"held at step {at}, started at {steps.effect_at}"
        assert not bench.upstream.violations
        with pytest.raises(Refused):
            await bench.act()


@pytest.mark.requirement("HOLD-03")
async def test_of_many_in_flight_none_starts_after_the_hold_returned(tmp_path):
    store = SqliteStore.open(tmp_path / "registers.db")
    register = SqliteRevocationRegister(store, clock=SystemClock())
    bench = await bench_to_hold(revocations=register, holds=SqliteHoldRegister(store, register))
    await bench.issue("m-2", calls_max=100_000)
    over = anyio.Event()
    late: list[str] = []

    async def noticed(effect):
        if over.is_set():
            late.append(effect.action_id)
        await anyio.lowlevel.checkpoint()

    bench.upstream.before = noticed
    ends: list[str] = []

    async def agent() -> None:
        try:
            while True:
                await bench.act(mandate="m-2")
        except Refused as refused:
            ends.append(refused.code)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(agent)
            while len(bench.upstream.effects) < 50:
                await anyio.lowlevel.checkpoint()
            await stop(bench, holdable("agent", "scout"))
            over.set()
    assert ends == ["held.agent"] * 8
    assert late == []


@pytest.mark.requirement("HOLD-04")
async def test_a_held_agent_gets_no_list_no_stream_no_mandate_and_no_approval():
    bench = await bench_to_hold()
    _, caller = bench.request("get_case", {"case": "4711"})
    assert list_capabilities(*to_list(bench.walk), caller, "m-1", "crm")
    cut: list[str] = []
    open_stream(
        bench.recorder.ledger,
        bench.authority,
        bench.live,
        bench.walk.verification,
        caller,
        "m-1",
        "crm",
        cut=lambda: cut.append("stream"),
    )
    waiting = (await bench.refund(6_000)).approval
    placed = await stop(bench, holdable("agent", "scout"))
    assert cut == ["stream"]
    assert not bench.live.streams
    assert placed.approvals == (waiting.id,)
    assert list_capabilities(*to_list(bench.walk), caller, "m-1", "crm") == frozenset()
    for ask in (
        lambda: refuse_held(
            bench.recorder.ledger, bench.authority, bench.walk.verification, caller, "m-1", "crm"
        ),
        lambda: refuse_held(
            bench.recorder.ledger, bench.authority, bench.walk.verification, caller, "", "crm"
        ),
        lambda: open_stream(
            bench.recorder.ledger,
            bench.authority,
            bench.live,
            bench.walk.verification,
            caller,
            "",
            "crm",
            cut=lambda: None,
        ),
    ):
        with pytest.raises(Refused) as raised:
            ask()
        assert raised.value.code == "held.agent"
    assert not bench.live.streams
    for attempt in (bench.issue("m-2"), bench.refund(6_001), bench.answer(waiting)):
        with pytest.raises(Refused) as raised:
            await attempt
        assert raised.value.code in ("held.agent", "approval.not_pending")
    assert bench.authority.mandates.find("m-2") is None


@pytest.mark.requirement("HOLD-04")
@pytest.mark.parametrize(
    "what", [holdable("tool", "crm/get_case"), holdable("capability", "crm.read")], ids=str
)
async def test_a_held_tool_is_in_no_list_and_its_neighbour_still_is(what):
    bench = await bench_to_hold()
    _, caller = bench.request("get_case", {"case": "4711"})
    await stop(bench, what)
    assert list_capabilities(*to_list(bench.walk), caller, "m-1", "crm") == {("tools/call", "refund")}


@pytest.mark.requirement("HOLD-04")
async def test_an_approval_that_is_written_while_the_hold_comes_is_denied_too():
    bench = await bench_to_hold()
    submit = bench.recorder.ledger.submit

    def held_meanwhile(entry):
        if entry.tag == Tag.APPROVAL_ASKED:
            bench.authority.holds.place(sample(bench, EVERYTHING))
        return submit(entry)

    bench.recorder.ledger.submit = held_meanwhile
    answer = await bench.refund(6_000)
    assert answer.approval.state == "denied"
    assert bench.channel.announced == []


@pytest.mark.requirement("HOLD-05")
async def test_a_call_on_its_way_is_cut_and_its_end_is_recorded_as_not_known():
    bench = await bench_to_hold()
    await cited(bench)
    started = anyio.Event()

    async def hangs(_effect):
        started.set()
        await anyio.sleep_forever()

    bench.upstream.before = hangs
    answers = []

    async def agent() -> None:
        answers.append(await bench.act())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent)
            await started.wait()
            placed = await stop(bench, holdable("server", "crm"))
    [flying] = placed.in_flight
    assert placed.cut == 1
    assert answers[0].outcome.status == "indeterminate"
    assert "server `crm` is held" in answers[0].outcome.detail
    [leaf] = bench.entries(Tag.HOLD_PLACED)
    assert leaf["in_flight"] == [flying.index]
    assert [leaf["intent"] for leaf in bench.entries(Tag.INDETERMINATE)] == [flying.index]
    assert not bench.live.calls
    assert not bench.live.cut


@pytest.mark.requirement("HOLD-05")
async def test_cutting_one_call_touches_no_other_and_a_caller_who_leaves_is_still_one_who_left():
    bench = await bench_to_hold()
    await bench.issue("m-2", agent="rover")
    await cited(bench)
    both, go_on = anyio.Event(), anyio.Event()
    begun = []

    async def waits(effect):
        begun.append(effect)
        if len(begun) == 2:
            both.set()
        await go_on.wait()

    bench.upstream.before = waits
    answers = {}

    async def agent(name: str, mandate: str) -> None:
        answers[name] = await bench.act(agent=name, mandate=mandate)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent, "scout", "m-1")
        tasks.start_soon(agent, "rover", "m-2")
        await both.wait()
        await stop(bench, holdable("agent", "scout"))
        go_on.set()
    assert answers["scout"].outcome.status == "indeterminate"
    assert answers["rover"].outcome.status == "succeeded"
    bench.upstream.before = lambda _: anyio.sleep_forever()
    with anyio.move_on_after(0.05) as left:
        await bench.act(agent="rover", mandate="m-2")
    assert left.cancelled_caught


@pytest.mark.requirement("HOLD-04")
async def test_an_agent_that_is_unheld_goes_on_while_others_are_held():
    bench = await Bench().registered(bench_documents())
    await bench.issue()
    await bench.issue("m-2", agent="rover")
    await stop(bench, holdable("agent", "scout"))
    with pytest.raises(Refused):
        await bench.act()
    assert (await bench.act(agent="rover", mandate="m-2")).outcome.status == "succeeded"


@pytest.mark.requirement("HOLD-02")
async def test_holds_on_several_names_are_lifted_one_by_one():
    bench = await bench_to_hold()
    names = [holdable("agent", "scout"), holdable("server", "crm"), EVERYTHING]
    for order in itertools.permutations(names):
        holds = [(await stop(bench, one, by="alice")).hold for one in order]
        for hold in holds:
            with pytest.raises(Refused):
                await bench.act()
            await lift(bench, hold, "bob")
        assert (await bench.act()).outcome.status == "succeeded"
