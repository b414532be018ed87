"""Attempts outside of scope, counted by the index, are those that a plain scan counts by the codes as declared."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.query import parsed_query
from answerable.errors import Malformed, Refused
from answerable.errors.declared import beyond_of, codes_declared
from answerable.flows.forensics.count_scope import CONDITIONS, Scope, check_conditions, count_scope
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.flows.policy.place_triggered_holds import place_triggered_holds
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.testing.builders import Bench
from answerable.testing.clock import START
from tests.worlds.parts import to_end
from tests.worlds.rule import HUGE, code_of, fired, rule, ruled
from tests.worlds.searched import Searched
from tests.worlds.stories import teller_of

DAY = 86_400_000
FILES_READ = ("src/answerable/errors/codes/*.py",)
"""`codes_declared` lists them."""


async def strayed() -> Bench:
    """Reads, attempts past a budget, on an unknown tool, under an unknown and a closed mandate, and one that a policy
    forbids."""
    bench = await Bench().registered()
    await bench.issue(calls_max=3)
    await bench.issue("m-2", agent="rover")
    for _ in range(5):
        with suppress(Refused):
            await bench.act()
    for tool, mandate in (("no_such_tool", "m-2"), ("get_case", "m-2"), ("get_case", "nobody's")):
        with suppress(Refused):
            await bench.act(tool, mandate=mandate, agent="rover")
    with suppress(Refused):
        await bench.refund(2_000_000, mandate="m-2", agent="rover")
    await close_mandate(*to_end(bench.walk), "m-2", by="operator")
    with suppress(Refused):
        await bench.act(mandate="m-2", agent="rover")
    return bench


@pytest.mark.anyio
@pytest.mark.requirement("SCOPE-01")
async def test_counts_are_those_of_a_plain_scan():
    bench = await strayed()
    leaves = [(one.tag, leaf_of(one)) for one in bench.recorder.ledger.replay()]
    refused = [leaf for tag, leaf in leaves if tag == Tag.REFUSAL]
    outside = [leaf for leaf in refused if beyond_of(str(leaf["code"]))]
    assert {str(one["code"]) for one in outside} >= {"mandate.budget_spent", "mandate.closed"}
    with teller_of(bench.recorder) as teller:
        whole = count_scope(teller, parsed_query([], now=0), rows=10)
        of_rover = count_scope(teller, parsed_query(["agent:rover"], now=0), rows=10)
    count = whole.count
    assert count.actions == len(refused) + sum(tag == Tag.INTENT for tag, _ in leaves)
    assert count.outside == len(outside)
    assert dict(count.limits) == Counter(beyond_of(str(one["code"])) for one in outside)
    assert count.by_policy == sum(beyond_of(str(one["code"])) is None for one in refused) == 1
    assert count.outside + count.by_policy + count.other == len(refused)
    for by, member in (("agent", "agent"), ("code", "code"), ("capability", "capability")):
        found = {one.row.name: one.row.outside for one in whole.lines[by]}
        assert found == Counter(str(one[member]) for one in outside), by
    assert of_rover.count.outside == sum(one["agent"] == "rover" for one in outside)
    ids = {str(one["action"]) for one in outside}
    examples = [one for lines in whole.lines.values() for line in lines for one in line.examples]
    assert examples
    assert ids >= set(examples)


def _of_weeks(place: Path) -> Scope:
    """Ten actions in a first week, of which one was outside, and four in a third, of which two were."""
    searched = Searched(place)
    for at, ran, strays in ((START, 9, 1), (START + 14 * DAY, 2, 2)):
        for _ in range(ran):
            searched.action(at=at)
        for _ in range(strays):
            searched.action(tag=Tag.REFUSAL, code="mandate.caveat", by=["mandate.caveat"], at=at)
    searched.add(Tag.REFUSALS_COUNTED, agents={"scout": 7, "rover": 2}, strangers={}, at=START)
    index = searched.caught_up()
    try:
        return count_scope(
            StoryTeller(index, searched.ledger, searched.find), parsed_query(["agent:scout"], now=0), rows=3
        )
    finally:
        index.close()


@pytest.mark.requirement("SCOPE-02")
def test_weeks_begin_on_monday_and_what_was_only_counted_is_told_apart(tmp_path: Path):
    found = _of_weeks(tmp_path)
    weeks = [line.row for line in found.lines["week"]]
    assert [(one.outside, one.actions, one.share) for one in weeks] == [(1, 10, 0.1), (2, 4, 0.5)]
    assert [(int(one.name) - 4 * DAY) % (7 * DAY) for one in weeks] == [0, 0]
    assert all(
        int(one.name) <= at < int(one.name) + 7 * DAY
        for one, at in zip(weeks, (START, START + 14 * DAY), strict=True)
    )
    (rule,) = [line.row for line in found.lines["rule"]]
    assert (rule.name, rule.outside, rule.actions) == ("mandate.caveat", 3, 14)
    assert (found.count.actions, found.unrecorded) == (14, 7)


@pytest.mark.requirement("SCOPE-02")
def test_a_share_is_refused_under_a_condition_that_refusals_cannot_meet():
    for word in ("person:ada", "code:mandate.caveat", "outcome:refused", "amount>5"):
        with pytest.raises(Malformed) as told:
            check_conditions(parsed_query([word], now=0))
        assert told.value.code == "scope.field"
    check_conditions(parsed_query([f"{one}:x" for one in CONDITIONS], now=0))


@pytest.mark.requirement("SCOPE-01")
def test_which_codes_count_is_declared_with_the_codes():
    assert beyond_of("mandate.caveat") == "mandate"
    assert beyond_of("delegation.scope_not_granted") == "delegation"
    assert beyond_of("capability.ceiling") == "agent"
    assert beyond_of("policy.default_deny") == "policy"
    for other in ("held.agent", "approval.denied", "arguments.invalid", "ledger.corrupt"):
        assert beyond_of(other) == "", other
    assert beyond_of("a rule of their own") is None
    counting = [one for one in codes_declared() if beyond_of(one)]
    assert 20 <= len(counting) <= 40
    assert not [one for one in counting if one.startswith(("held.", "approval.", "upstream.", "ledger."))]


@pytest.mark.anyio
@pytest.mark.requirement("SCOPE-03")
async def test_a_stop_rule_on_the_same_codes_holds_past_its_limit_and_counts_no_other_refusal():
    bench = await ruled(rule("strays", "outside_scope", limit=2, within="10m"))
    await bench.issue("m-3", calls_max=1)
    assert await code_of(bench.act(mandate="m-3")) == "succeeded"
    denied = [await code_of(bench.refund(HUGE)) for _ in range(6)]
    assert (set(denied), beyond_of("refund-never")) == ({"refund-never"}, None)
    strays = [await code_of(bench.act(mandate="m-3")) for _ in range(4)]
    assert strays == ["mandate.budget_spent"] * 3 + ["held.agent"]
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    assert fired(bench) == [("strays", "held", "agent", "scout")]
    with teller_of(bench.recorder) as teller:
        counted = count_scope(teller, parsed_query(["agent:scout"], now=0), rows=1).count
    (leaf,) = bench.entries(Tag.RULE_FIRED)
    assert counted.outside == leaf["value"] == 3
