"""What waits is read as it comes, so that nobody's look at a long queue waits for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from answerable.core.approval.features import features_of
from answerable.errors import Unavailable
from answerable.flows.state import waiting_groups
from answerable.flows.state.waiting_groups import WaitingGroups
from answerable.flows.validity.group_waiting import follow_waiting, groups_waiting
from answerable.testing.fault_injection import Trouble, TroubledApprovals
from tests.worlds.alike import asked_many, groups_of, paying_bench, payments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.approval.approval import Approval
    from answerable.core.identity.names.principal import UnixMillis

pytestmark = pytest.mark.anyio


class Watched(TroubledApprovals):
    """Says when somebody has looked at what waits."""

    def __init__(self, register, *, fails: int = 0) -> None:
        super().__init__(register, Trouble(lambda _n, _method: None))
        self.looked, self.fails = anyio.Event(), fails

    def all(self, *, pending_only: bool, now: UnixMillis) -> Iterable[Approval]:
        if self.fails:
            self.fails -= 1
            raise Unavailable("the disk is gone", code="register.unavailable", port="register")
        found = super().all(pending_only=pending_only, now=now)
        self.looked.set()
        return found


@pytest.mark.parametrize("fails", [0, 2])
async def test_what_newly_waits_is_read_before_anybody_looks(monkeypatch: pytest.MonkeyPatch, fails: int):
    monkeypatch.setattr("answerable.flows.validity.group_waiting.FOLLOW_SECONDS", 0)
    bench = await paying_bench()
    waiting = await asked_many(bench, 5)
    bench.authority.approvals = Watched(bench.authority.approvals, fails=fails)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            follow_waiting,
            bench.recorder.ledger,
            bench.authority.approvals,
            bench.asking.under_way,
            bench.clock,
        )
        await bench.authority.approvals.looked.wait()
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    monkeypatch.setattr(waiting_groups, "features_of", None)
    (group,) = groups_waiting(bench.authority.approvals, bench.asking.under_way, bench.clock).groups
    assert {one.id for one in group.all} == {one.id for one in waiting}


def test_a_long_queue_is_read_a_part_at_a_time_and_only_once(monkeypatch: pytest.MonkeyPatch):
    kept, waiting = WaitingGroups(), tuple(payments(25))
    assert [kept.take_in(waiting, most=10) for _ in range(4)] == [True, True, False, False]
    expected = groups_of(waiting)
    monkeypatch.setattr(waiting_groups, "features_of", None)
    assert kept.of(waiting) == expected
    assert not kept.take_in(waiting, most=10)


def test_a_look_that_fails_in_the_middle_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch):
    kept, waiting = WaitingGroups(), tuple(payments(25))
    kept.of(waiting[:10])

    def failing(one: Approval):
        if one.id == waiting[20].id:
            raise MemoryError
        return features_of(one)

    monkeypatch.setattr(waiting_groups, "features_of", failing)
    with pytest.raises(MemoryError):
        kept.of(waiting)
    monkeypatch.setattr(waiting_groups, "features_of", features_of)
    assert kept.of(waiting) == groups_of(waiting)
    assert kept.of(waiting[5:]) == groups_of(waiting[5:])


def test_nothing_is_kept_of_what_comes_and_goes_while_nobody_looks():
    kept, ever = WaitingGroups(), tuple(payments(60))
    for number in range(0, 60, 10):
        kept.take_in(ever[number : number + 10], most=10)
        assert len(kept._gathered) == 10
    assert kept.of(ever[50:]) == groups_of(ever[50:])
    kept.take_in((), most=10)
    assert len(kept._gathered) == 0
    assert kept.of(()) == groups_of(())
