"""How many refusals are written down one by one."""

from __future__ import annotations

import pytest

from answerable.core.action.quota import RefusalQuota
from answerable.core.identity.names.principal import AgentId, UnixMillis

pytestmark = pytest.mark.requirement("WALK-05")

SCOUT, ROVER = AgentId("scout"), AgentId("rover")


def quota() -> RefusalQuota:
    return RefusalQuota(recorded_max=2, window_ms=1000)


def takes(one: RefusalQuota, *times: int, agent: AgentId = SCOUT) -> list[bool]:
    return [one.take(agent, UnixMillis(at)) for at in times]


def test_past_the_quota_refusals_are_counted_until_the_window_ends():
    one = quota()
    assert takes(one, 0, 1, 2, 999) == [True, True, False, False]
    assert one.is_held(SCOUT, UnixMillis(999))
    assert not one.is_held(SCOUT, UnixMillis(1000))
    assert takes(one, 1000, 1001, 1002) == [True, True, False]
    assert one.drain_counted(9) == {"scout": 3}
    assert one.drain_counted(9) == {}


def test_agents_do_not_share_a_quota():
    one = quota()
    takes(one, 0, 0, 0)
    assert not one.is_held(ROVER, UnixMillis(0))
    assert takes(one, 0, agent=ROVER) == [True]


def test_a_wall_clock_that_is_set_back_holds_nobody_longer_than_a_window():
    one = quota()
    takes(one, 10_000_000, 10_000_000, 10_000_000)
    assert one.is_held(SCOUT, UnixMillis(5_000)), "the quota is not renewed by it"
    assert not one.is_held(SCOUT, UnixMillis(6_000))


def test_what_could_not_be_written_down_is_counted_and_what_was_drained_can_be_put_back():
    one = quota()
    takes(one, 0)
    takes(one, 0, agent=ROVER)
    one.lost(SCOUT)
    one.lost(ROVER)
    first = one.drain_counted(1)
    assert first == {"scout": 1}
    one.restore_counted(first)
    one.lost(SCOUT)
    assert one.drain_counted(9) == {"scout": 2, "rover": 1}


def test_refusals_that_are_told_elsewhere_hold_the_agent_too():
    one = quota()
    one.note(SCOUT, UnixMillis(0))
    assert not one.is_held(SCOUT, UnixMillis(0))
    assert takes(one, 1) == [True]
    assert one.is_held(SCOUT, UnixMillis(1)), "recorded and noted ones together use up the quota"
    assert takes(one, 2) == [False]
    one.note(SCOUT, UnixMillis(3))
    assert one.drain_counted(9) == {"scout": 1}, "what is noted is told elsewhere"
    assert one.drain_counted(9) == {}
    assert not one.is_held(SCOUT, UnixMillis(1000))
    assert takes(one, 1000) == [True]


@pytest.mark.requirement("HOUSE-12")
def test_whoever_relies_on_it_is_told_when_an_agent_is_held_for_more_than_before_or_for_nothing_any_more():
    told: list[AgentId] = []
    one = RefusalQuota(recorded_max=2, window_ms=1000, changed=told.append)
    at = UnixMillis(0)

    def times(mandate: str) -> int:
        before = len(told)
        one.take(SCOUT, at, mandate)
        return len(told) - before

    assert [times("m-1"), times("m-1")] == [0, 1], "held under the one mandate"
    assert [times("m-1"), times("m-2"), times("m-2"), times("m-2")] == [0, 0, 1, 0], "and then under all"
    one.note(SCOUT, at)
    assert len(told) == 2
    one.forget(SCOUT)
    assert told == [SCOUT] * 3
    assert not one.is_held(SCOUT, at)
