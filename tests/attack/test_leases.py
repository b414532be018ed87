"""What a broker does with warrants and leases when somebody, or something, works against it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import anyio
import pytest

from answerable.core.canonical import freeze
from answerable.core.lease.credential import IssuerTraits
from answerable.core.lease.lease import PAUSE_MS_MAX, pause_ms
from answerable.core.lease.name import lease_name, octets_of
from answerable.core.lease.use import Used
from answerable.errors import AnswerableError, Broken, Refused, Unavailable
from answerable.errors.codes.ledger import REGISTER_UNAVAILABLE
from answerable.flows.leases import settle_leases
from answerable.flows.leases.lease_desk import DeskTarget, LeaseLimits
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.leases.revoke_lease import end_lease, end_within
from answerable.testing.memory_target import MemoryTarget
from tests.worlds.lease import SCOPE, LeaseWorld, quiet, until, warrant

pytestmark = pytest.mark.anyio

ARGUMENTS = {"key": "case-1"}


def a_world() -> tuple[LeaseWorld, MemoryTarget]:
    world = LeaseWorld()
    target = world.target()
    target.values["case-1"] = "open"
    return world, target


@pytest.mark.requirement("LEASE-03")
async def test_a_warrant_does_its_action_once_and_its_lease_is_gone_with_the_answer():
    world, target = a_world()
    async with world.broker() as desk:
        one = warrant(now=world.clock.now())
        performed, lease = await perform_leased(desk, one, "get", ARGUMENTS)
        assert performed.result["content"] == [{"type": "text", "text": "open"}]
        assert (lease.state, lease.end, lease.uses) == ("ended", "revoked", 1)
        assert await target.live() == ()
        with pytest.raises((Broken, Refused)) as again:
            await perform_leased(desk, one, "get", ARGUMENTS)
        assert again.value.code in ("warrant.spent", "lease.ended")
        assert target.done == [(lease.account, "get", "case-1")]


@pytest.mark.requirement("LEASE-03")
async def test_a_warrant_is_spent_whatever_lease_it_comes_with_the_second_time():
    world, target = a_world()
    async with world.broker() as desk:
        await perform_leased(desk, warrant(1, now=world.clock.now()), "get", ARGUMENTS)
        with pytest.raises(Broken) as again:
            await perform_leased(desk, warrant(1, name=2, now=world.clock.now()), "get", ARGUMENTS)
    assert again.value.code == "warrant.spent"
    assert len(target.done) == 1
    assert await target.live() == ()


@pytest.mark.requirement("LEASE-03")
async def test_of_racing_uses_of_one_warrant_one_is_performed():
    world, target = a_world()
    refused = []
    async with world.broker() as desk:

        async def one() -> None:
            try:
                await perform_leased(desk, warrant(now=world.clock.now()), "get", ARGUMENTS)
            except AnswerableError as error:
                refused.append(error.code)

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(one)
        await quiet(desk)
    assert len(target.done) == 1
    assert len(refused) == 7
    assert await target.live() == ()


@pytest.mark.requirement("LEASE-03")
async def test_a_scope_that_the_issuer_does_not_understand_spends_nothing():
    world, target = a_world()
    async with world.broker() as desk:
        odd = warrant(now=world.clock.now())
        odd = replace(odd, lease=replace(odd.lease, scope=freeze({"verbs": ["everything"], "keys": ["*"]})))
        with pytest.raises(Refused) as refused:
            await perform_leased(desk, odd, "get", ARGUMENTS)
    assert refused.value.code == "lease.scope"
    assert target.done == []
    assert world.register.last_change() == 0


@pytest.mark.requirement("LEASE-05")
async def test_what_cannot_be_revoked_is_told_with_its_reason_until_it_is_gone():
    world, target = a_world()
    async with world.broker() as desk:
        target.values["case-1"] = "open"
        one = warrant(now=world.clock.now(), window="task")
        _, lease = await perform_leased(desk, one, "get", ARGUMENTS)
        target.reachable = False
        for attempts in range(1, 15):
            ended = await end_lease(desk, lease.name, why="held")
            assert ended is not None
            assert (ended.state, ended.attempts) == ("unrevoked", attempts)
            assert ended.fault == "the target cannot be reached"
            assert [one.name for one in desk.open.unrevoked()] == [lease.name]
            assert 0 < ended.next_try_at - world.clock.now() <= PAUSE_MS_MAX
        assert list(world.register.open_leases()) == [ended]
        target.reachable = True
        world.clock.advance(PAUSE_MS_MAX / 1000)
        desk.due_changed.set()
        await until(lambda: lease.name not in desk.open)
        gone = world.register.get(lease.name)
        assert (gone.state, gone.why) == ("ended", "held")
        assert await target.live() == ()


@pytest.mark.requirement("LEASE-05")
def test_pauses_grow_to_a_minute_and_never_end():
    pauses = [pause_ms(attempts, 0) for attempts in (0, 1, 2, 5, 8, 100, 10_000)]
    assert pauses == [250, 500, 1000, 8000, 60_000, 60_000, 60_000]
    assert pause_ms(100, 1) == 45_000


@pytest.mark.requirement("LEASE-05")
async def test_a_dead_target_delays_no_other():
    world, _ = a_world()
    slow = MemoryTarget(clock=world.clock, entropy=world.entropy, pauses=0.0)
    world.targets["slow"] = slow
    async with world.broker(LeaseLimits(enders_per_target=1)) as desk:
        for number in range(1, 9):
            await perform_leased(
                desk,
                warrant(
                    number, window="task", target="slow", now=world.clock.now(), under=(("vendor", "v"),)
                ),
                "get",
                ARGUMENTS,
            )
        slow._pauses = 3600.0
        assert len(end_within(desk, [("vendor", "v")], why="held")) == 8
        _, lease = await perform_leased(desk, warrant(100, now=world.clock.now()), "get", ARGUMENTS)
        assert lease.state == "ended"
        assert len(desk.ending) == 8


@pytest.mark.requirement("LEASE-06")
@pytest.mark.parametrize(
    ("name", "reached"),
    [
        (("mandate", "m-1"), {1, 2}),
        (("agent", "scout"), {1, 3}),
        (("credential", "one"), {1, 2, 3}),
        (("credential", lease_name((2).to_bytes(16, "big"))), {2}),
        (("everything", ""), set()),
        (("agent", "m-1"), set()),
    ],
)
async def test_whatever_stands_under_a_name_ends_with_it_and_nothing_else(name, reached):
    world, target = a_world()
    async with world.broker() as desk:
        now = world.clock.now()
        for number, under in (
            (1, (("mandate", "m-1"), ("agent", "scout"))),
            (2, (("mandate", "m-1"), ("agent", "rover"))),
            (3, (("mandate", "m-2"), ("agent", "scout"))),
        ):
            await perform_leased(desk, warrant(number, window="task", under=under, now=now), "get", ARGUMENTS)
        found = end_within(desk, [name], why="held")
        await quiet(desk)
    assert {int.from_bytes(octets_of(one)) for one in found} == reached
    assert len(await target.live()) == 3 - len(reached)


@pytest.mark.requirement("LEASE-06")
async def test_a_lease_that_is_held_while_it_is_issued_is_never_used():
    world, target = a_world()
    target._pauses = 0.01
    async with world.broker() as desk:
        one = warrant(now=world.clock.now(), window="task")
        caught = []

        async def act() -> None:
            try:
                await perform_leased(desk, one, "get", ARGUMENTS)
            except AnswerableError as error:
                caught.append(error.code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(act)
            await until(lambda: bool(desk.issuing))
            assert end_within(desk, [("agent", "scout")], why="held") == [one.lease.name]
        await quiet(desk)
    assert caught == ["lease.ended"]
    assert target.done == []
    assert await target.live() == ()


@pytest.mark.requirement("LEASE-07")
async def test_a_task_window_serves_its_own_actions_and_nobody_elses():
    world, target = a_world()
    async with world.broker() as desk:
        now = world.clock.now()
        first = await perform_leased(desk, warrant(1, window="task", now=now), "get", ARGUMENTS)
        second = await perform_leased(desk, warrant(2, name=1, window="task", now=now), "get", ARGUMENTS)
        assert first[1].account == second[1].account
        assert second[1].uses == 2
        assert len(await target.live()) == 1
        for other in (
            warrant(3, name=1, window="action", now=now),
            warrant(4, name=1, window="task", now=now, agent="rover"),
        ):
            with pytest.raises(Refused) as refused:
                await perform_leased(desk, other, "get", ARGUMENTS)
            assert refused.value.code == "lease.other"
        await end_lease(desk, first[1].name, why="the task ended")
        with pytest.raises(Unavailable) as late:
            await perform_leased(desk, warrant(5, name=1, window="task", now=now), "get", ARGUMENTS)
        assert (late.value.code, late.value.effect) == ("lease.ended", "none")
    assert len(target.done) == 2


@pytest.mark.requirement("LEASE-07")
async def test_a_task_that_goes_on_has_its_lease_renewed_and_no_further_than_ordered():
    world, target = a_world()
    async with world.broker() as desk:
        await perform_leased(
            desk, warrant(1, window="task", now=world.clock.now(), ttl_ms=10_000), "get", ARGUMENTS
        )
        world.clock.advance(8)
        now = world.clock.now()
        _, lease = await perform_leased(
            desk, warrant(2, name=1, window="task", now=now, ttl_ms=10_000), "get", ARGUMENTS
        )
        assert (lease.expires_at, lease.renewed_at) == (now + 10_000, now)
        world.clock.advance(9)
        desk.due_changed.set()
        await anyio.sleep(0.01)
        assert len(await target.live()) == 1
        world.clock.advance(2)
        desk.due_changed.set()
        await until(lambda: not (len(desk.open)))
        assert await target.live() == ()
        assert world.register.get(lease.name).end == "expired"


@pytest.mark.requirement("LEASE-08")
async def test_a_clock_that_is_set_ahead_ends_the_leases_whose_time_is_up(monkeypatch):
    world, target = a_world()
    monkeypatch.setattr(settle_leases, "CLOCK_SECONDS", 0.01)
    async with world.broker() as desk:
        _, short = await perform_leased(
            desk, warrant(1, window="task", now=world.clock.now()), "get", ARGUMENTS
        )
        _, long = await perform_leased(
            desk, warrant(2, window="task", now=world.clock.now(), ttl_ms=7_200_000), "get", ARGUMENTS
        )
        world.clock.jump(3600)
        await until(lambda: short.name not in desk.open)
        assert (await target.live(), long.name in desk.open) == ((long.name,), True)
        assert world.register.get(short.name).why == settle_leases.TIME_IS_UP


@pytest.mark.requirement("LEASE-08")
async def test_a_clock_that_is_set_back_lets_no_lease_live_longer():
    world, target = a_world()
    async with world.broker() as desk:
        await perform_leased(desk, warrant(1, window="task", now=world.clock.now()), "get", ARGUMENTS)
        world.clock.jump(-3600)
        world.clock.advance(61)
        desk.due_changed.set()
        await until(lambda: not (len(desk.open)))
        assert await target.live() == ()


@pytest.mark.requirement("LEASE-08")
async def test_what_its_issuer_breaks_on_stays_open_and_is_tried_again():
    world, target = a_world()
    async with world.broker() as desk:
        _, lease = await perform_leased(
            desk, warrant(1, window="task", now=world.clock.now()), "get", ARGUMENTS
        )
        whole = target.revoke

        async def broken(name):
            raise RuntimeError("a fault of the issuer's own, with a secret: hunter2")

        target.revoke = broken
        ended = await end_lease(desk, lease.name, why="held")
        assert ended.state == "unrevoked"
        assert ended.fault.startswith("the code of its kind failed: `RuntimeError` in line ")
        assert "hunter2" not in ended.fault
        target.revoke = whole
        assert (await end_lease(desk, lease.name, why="held")).state == "ended"


@pytest.mark.requirement("LEASE-05")
async def test_a_target_that_issues_nothing_leaves_nothing_and_says_that_nothing_was_begun():
    world, target = a_world()
    target.reachable = False
    async with world.broker() as desk:
        with pytest.raises(Unavailable) as failed:
            await perform_leased(desk, warrant(now=world.clock.now()), "get", ARGUMENTS)
        assert (failed.value.code, failed.value.effect) == ("lease.target", "none")
        await quiet(desk)
        assert [one.state for one in desk.open.unrevoked()] == ["unrevoked"]


@pytest.mark.requirement("FULLDISK-15")
@pytest.mark.parametrize("change", ["redeem", "put"])
@pytest.mark.parametrize(
    "failed", [sqlite3.OperationalError("disk is full"), REGISTER_UNAVAILABLE(effect="unknown")]
)
async def test_what_a_register_could_not_take_before_the_action_began_says_that_nothing_was_done(
    monkeypatch, change, failed
):
    world, target = a_world()

    def full(_: object) -> None:
        raise failed

    async with world.broker() as desk:
        monkeypatch.setattr(world.register, change, full)
        with pytest.raises(Unavailable) as raised:
            await perform_leased(desk, warrant(now=world.clock.now()), "get", ARGUMENTS)
        monkeypatch.undo()
        await quiet(desk)
    assert raised.value.effect == "none"
    assert target.done == []
    assert await target.live() == ()


@pytest.mark.requirement("LEASE-10")
@pytest.mark.parametrize(("tier", "let"), [(0, True), (1, False), (3, False)])
async def test_what_nobody_keeps_to_its_task_serves_the_lowest_tier_alone(tier, let):
    world, target = a_world()
    target.traits_now = IssuerTraits(boundary="nobody", ends_by="broker")
    async with world.broker() as desk:
        one = warrant(now=world.clock.now(), tier=tier)
        if let:
            await perform_leased(desk, one, "get", ARGUMENTS)
        else:
            with pytest.raises(Refused) as refused:
                await perform_leased(desk, one, "get", ARGUMENTS)
            assert refused.value.code == "lease.boundary"
    assert len(target.done) == int(let)


class TellingRights:
    """Port TargetRights, as far as the desk asks it."""

    def __init__(self, used: Used | Exception | None) -> None:
        self.answer, self.asked = used, 0

    def used(self, scope, tool, arguments, told):
        assert (scope, tool, arguments) == (SCOPE, "get", {"key": "case-1"})
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.requirement("RIGHTS-03")
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Used(frozenset({"keys/0"})), Used(frozenset({"keys/0"}))),
        (None, None),
        (ValueError("a fault of ours"), None),
    ],
)
async def test_what_was_used_is_told_beside_the_answer_and_a_fault_in_telling_changes_nothing(answer, told):
    world, target = a_world()
    rights = TellingRights(answer)
    limits = LeaseLimits()
    targets = {"one": DeskTarget.of(target, target, limits, rights)}
    async with world.broker(limits, targets=targets) as desk:
        target.values["case-1"] = "x"
        performed, lease = await perform_leased(
            desk, warrant(now=world.clock.now()), "get", {"key": "case-1"}
        )
    assert performed.used == told
    assert performed.result.get("isError") is not True
    assert (rights.asked, lease.state) == (1, "ended")
