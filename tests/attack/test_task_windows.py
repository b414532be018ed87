"""Task windows under attack: what ends in the middle of a renewal, and who else would use the credential."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import anyio
import pytest

from answerable.core.action.outcome import Outcome
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.lease import Lease
from answerable.core.lease.name import account_of, lease_name
from answerable.core.ledger.warrant_token import LeaseTerms
from answerable.errors import AnswerableError, Refused, Unavailable
from answerable.flows.leases.lease_desk import DeskTarget, LeaseLimits
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.leases.revoke_lease import end_within
from answerable.flows.state.lease_side import WINDOWS_MAX, LeaseSide
from tests.attack.test_brokered_walk import a_bench
from tests.worlds.lease import LeaseWorld, quiet, warrant
from tests.worlds.stories import lines_of

pytestmark = pytest.mark.anyio

ARGUMENTS = {"key": "case-1"}


class LookedUpOnly(OrderedDict[Any, Any]):
    """Whoever would look through all of it fails."""

    def _refuse(self):
        raise AssertionError("one is forgotten by its name, not by a look through the others")

    __iter__ = __reversed__ = keys = values = items = copy = _refuse


class Halting:
    """An issuer whose renewals wait, so that something can happen meanwhile; it is a memory target for the rest."""

    def __init__(self, target) -> None:
        self._target = target
        self.begun, self.go_on = anyio.Event(), anyio.Event()

    def __getattr__(self, name):
        return getattr(self._target, name)

    async def renew(self, name, expires_at) -> None:
        await self._target.renew(name, expires_at)
        self.begun.set()
        await self.go_on.wait()


async def renewed_while_it_is_held(*, is_reachable: bool) -> tuple[LeaseWorld, list[str], Lease, list[Lease]]:
    """A hold comes while a lease is renewed. The codes, the lease in the register, and what is told unrevoked."""
    world = LeaseWorld()
    target = world.target()
    target.values["case-1"] = "open"
    halting = Halting(target)
    codes: list[str] = []
    async with world.broker(targets={"one": DeskTarget.of(halting, target, LeaseLimits())}) as desk:
        first = warrant(1, window="task", now=world.clock.now(), ttl_ms=10_000)
        await perform_leased(desk, first, "get", ARGUMENTS)
        world.clock.advance(8)
        later = warrant(2, name=1, window="task", now=world.clock.now(), ttl_ms=10_000)

        async def act() -> None:
            try:
                await perform_leased(desk, later, "get", ARGUMENTS)
            except AnswerableError as error:
                codes.append(error.code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(act)
            await halting.begun.wait()
            target.reachable = is_reachable
            end_within(desk, [("agent", "scout")], why="held")
            await quiet(desk)
            target.reachable = True
            halting.go_on.set()
        stands = world.register.get(first.lease.name)
        return world, codes, stands, desk.open.unrevoked()


@pytest.mark.requirement("LEASE-07")
async def test_what_ended_while_it_was_renewed_does_not_come_back():
    world, codes, stands, _ = await renewed_while_it_is_held(is_reachable=True)
    assert codes == ["lease.ended"]
    assert (stands.state, stands.why) == ("ended", "held")
    assert len(world.target().done) == 1


@pytest.mark.requirement("LEASE-05")
async def test_what_could_not_be_revoked_while_it_was_renewed_is_still_told_as_unrevoked():
    world, codes, stands, told = await renewed_while_it_is_held(is_reachable=False)
    assert codes == ["lease.ended"]
    assert (stands.state, stands.attempts) == ("unrevoked", 1)
    assert [one.name for one in told] == [stands.name]
    assert len(world.target().done) == 1


@pytest.mark.requirement("LEASE-07")
@pytest.mark.parametrize(
    "changed",
    [
        {"capability": "close_case"},
        {"under": (("mandate", "m-1"), ("agent", "scout"), ("hop", "another"))},
        {"under": (("mandate", "m-1"), ("agent", "scout"), ("token", "another"))},
        {"mandate": "m-2"},
        {"log": "ledger.example/two"},
    ],
)
async def test_a_window_serves_no_action_that_something_else_would_end(changed):
    """A hold over what the second action stands under would not reach the credential that it was done with."""
    world = LeaseWorld()
    target = world.target()
    async with world.broker() as desk:
        now = world.clock.now()
        await perform_leased(desk, warrant(1, window="task", now=now), "get", ARGUMENTS)
        other = replace(warrant(2, name=1, window="task", now=now), **changed)
        with pytest.raises(Refused) as refused:
            await perform_leased(desk, other, "get", ARGUMENTS)
    assert refused.value.code == "lease.other"
    assert len(target.done) == 1


@pytest.mark.requirement("LEASE-07")
@pytest.mark.parametrize("settled", [False, True])
async def test_a_task_that_goes_on_after_a_start_of_the_broker_is_told_to_call_again(settled):
    """Whoever asks before the gateway was told of the end has the name of a lease that is no more."""
    world = LeaseWorld()
    target = world.target()
    async with world.broker() as desk:
        await perform_leased(desk, warrant(1, window="task", now=world.clock.now()), "get", ARGUMENTS)
    async with world.broker() as desk:
        if settled:
            await quiet(desk)
        late = warrant(2, name=1, window="task", now=world.clock.now())
        with pytest.raises(Unavailable) as ended:
            await perform_leased(desk, late, "get", ARGUMENTS)
        assert (ended.value.code, ended.value.effect) == ("lease.ended", "none")
        assert "another call gets another one" in ended.value.message
        assert len(target.done) == 1
        await perform_leased(desk, warrant(3, window="task", now=world.clock.now()), "get", ARGUMENTS)
    assert len(target.done) == 2


@pytest.mark.requirement("LEASE-07")
@pytest.mark.parametrize(
    ("code", "is_another"), [("lease.ended", True), ("lease.target", False), ("", False)]
)
async def test_a_gateway_gives_the_next_call_another_lease_where_the_broker_says_that_one_ended(
    code: str, is_another: bool
):
    bench, watching, _ = await a_bench(window="task")
    await bench.act()
    done = watching.perform

    async def ended(one: Any, *, progress: Any = None) -> Outcome:
        await done(one, progress=progress)
        return Outcome(status="not_started", detail="it has ended", code=code)

    watching.perform = ended
    answer = await bench.act("get_case", {"case": "4711"})
    watching.perform = done
    await bench.act("get_case", {"case": "4711"})
    assert answer.outcome.status == "not_started"
    first, second, third = (one.lease_name for one in watching.warrants)
    assert (first == second, third == second) == (True, not is_another)


@pytest.mark.requirement("LEASE-12")
async def test_two_capabilities_with_one_scope_have_each_a_window_of_their_own():
    bench, watching, _ = await a_bench(window="task")
    for tool, arguments in (
        ("get_case", {"case": "4711"}),
        ("refund", {"case": "4711", "amount": 100}),
        ("get_case", {"case": "4711"}),
    ):
        await bench.act(tool, arguments)
    scopes = {one.brokered.terms.scope.hex for one in watching.warrants}
    assert len(scopes) == 1
    of = [(one.brokered.capability, one.lease_name) for one in watching.warrants]
    assert of[0] == of[2]
    assert of[0][0] != of[1][0]
    assert of[0][1] != of[1][1]
    for one in watching.warrants:
        assert ("capability", one.brokered.capability) in one.brokered.under


@pytest.mark.requirement("LEASE-12")
def test_forgetting_one_of_many_windows_looks_through_none_of_the_others():
    """Each lease that ends is forgotten so: a look through all of them would hold up every action meanwhile."""
    side = LeaseSide(broker="broker", asks=None)
    names = [lease_name(number.to_bytes(16, "big")) for number in range(WINDOWS_MAX + 10)]
    scope = freeze({})
    for name in names:
        terms = LeaseTerms(name=name, target="one", window="task", scope=scope, expires_at=UnixMillis(9))
        side.keep((name,), terms)
    assert len(side.windows) == len(side.keys) == WINDOWS_MAX
    assert (names[9],) not in side.windows, "those that were not used for longest went"
    assert (names[10],) in side.windows
    side.windows, side.keys = LookedUpOnly(side.windows), LookedUpOnly(side.keys)
    for name in names[:3_000]:
        side.forget(name)
    assert len(side.windows) == len(side.keys) == WINDOWS_MAX - 2_990


@pytest.mark.requirement("LEASE-12")
async def test_the_account_that_a_target_logs_leads_to_the_actions_of_its_lease():
    bench, watching, _ = await a_bench(window="task")
    await bench.act("get_case", {"case": "4711"})
    (one,) = watching.warrants

    def told(name: str) -> list[str]:
        return [line.kind for line in lines_of(bench.recorder, name)]

    assert "intent" in told(account_of(one.lease_name))
    assert told(account_of(one.lease_name)) == told(one.lease_name)
