"""What stop rules count of what happens, by whom, and what they would hold for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.containment.hold import HoldTarget
from answerable.core.containment.stop_rule_signal import (
    StopRuleSignal,
    events_of,
    holdable_of,
    instances_of,
    keys_of,
    owners_of,
    restored,
    touches,
    tracker_of,
)
from answerable.core.registry.documents.stop_rule import Canary, StopRule

ONE = "spiffe://example.org/agent/scout/one"
BARE = StopRuleSignal(kind="denied", at=1, agents=("scout",), code="policy")


def rule(**members: object) -> StopRule:
    return StopRule(**{"name": "r", "watches": "denied_rate", "limit": 0, "within_seconds": 60, **members})


@pytest.mark.requirement("RULE-04")
def test_a_sub_agent_counts_for_its_instance_and_nothing_above_it() -> None:
    assert instances_of(f"{ONE}/sub-1") == (f"{ONE}/sub-1", ONE)
    assert instances_of(ONE) == (ONE,)
    assert instances_of("") == instances_of("scout") == ()


@pytest.mark.requirement("RULE-02")
@pytest.mark.parametrize("holds", ["tool", "server", "capability", "instance", "mandate"])
def test_where_there_is_no_such_target_the_agent_stands_still(holds: str) -> None:
    assert keys_of(rule(holds=holds), BARE) == ("-",)
    assert holdable_of(rule(holds=holds), BARE, "scout") == HoldTarget("agent", "scout")
    by_instance = rule(holds=holds, over="instance")
    expected = HoldTarget("instance", ONE) if holds == "instance" else HoldTarget("agent", "scout")
    assert holdable_of(by_instance, BARE, ONE) == expected


def test_where_there_is_no_owner_nothing_is_counted() -> None:
    assert owners_of(rule(over="mandate"), BARE) == owners_of(rule(over="instance"), BARE) == ()
    assert events_of(rule(over="mandate"), BARE) == ()


def test_what_has_its_own_number_counts_none() -> None:
    assert tracker_of(rule(watches="tracker", tracker="t")) is None
    assert tracker_of(rule(watches="refusal_flood")) is None
    assert events_of(rule(watches="tracker", tracker="t"), BARE) == ()
    assert (
        len(events_of(rule(watches="refusal_flood"), StopRuleSignal(kind="flooded", at=1, agents=("scout",))))
        == 1
    )


@pytest.mark.requirement("RULE-05")
def test_a_number_that_does_not_say_what_to_hold_holds_nothing_by_itself() -> None:
    loop = rule(watches="identical_retry", holds="tool")
    assert restored(loop, "scout", "f00", agent="scout", at=1) is None
    for nobody in (rule(over="instance", holds="agent"), rule(over="instance", holds="tool")):
        assert restored(nobody, ONE, "-", agent="", at=1) is None
    found = restored(rule(over="instance", holds="tool"), ONE, "crm/get_case", agent="", at=1)
    assert found is not None
    assert holdable_of(rule(over="instance", holds="tool"), found, ONE) == HoldTarget("tool", "crm/get_case")


@pytest.mark.requirement("RULE-02")
def test_a_canary_is_found_at_whatever_depth_and_in_names_and_numbers() -> None:
    canary = Canary(values=("honey-1", "471147"))
    deep: object = "see honey-1 there"
    for _ in range(20):
        deep = [{"a": deep}]
    for arguments in ({"x": deep}, {"honey-1": 1}, {"x": [471147]}, {"x": 4711471}):
        assert touches(canary, StopRuleSignal(kind="started", at=1, agents=("scout",), arguments=arguments))
    for harmless in ({}, {"x": [True, None, 1, {"y": "honey"}]}):
        assert not touches(
            canary, StopRuleSignal(kind="started", at=1, agents=("scout",), arguments=harmless)
        )


@pytest.mark.requirement("RULE-04")
@pytest.mark.parametrize("holds", ["tool", "server", "capability", "instance"])
def test_what_was_handed_on_is_counted_for_who_did_it_and_for_the_task_and_held_for_nobody_above(
    holds: str,
) -> None:
    below = StopRuleSignal(kind="denied", at=1, agents=("rover", "scout"), mandate="m-1", code="policy")
    assert owners_of(rule(), below) == ("rover",)
    by_task = rule(over="mandate", holds=holds)
    assert owners_of(by_task, below) == ("m-1",)
    # Where there is no such target its agent stands still, for what was its own; also when a crash comes in between.
    [key] = keys_of(by_task, below)
    assert keys_of(by_task, replace(below, agents=("scout",))) != (key,)
    assert holdable_of(by_task, below, "m-1") == HoldTarget("agent", "rover")
    again = restored(by_task, "m-1", key, agent="scout", at=2)
    assert again is not None
    assert holdable_of(by_task, again, "m-1") == HoldTarget("agent", "rover")
