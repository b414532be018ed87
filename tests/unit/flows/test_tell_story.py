"""The story of any name by the index is the one that a scan of the whole ledger tells, and it reads like one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.names import parsed_names
from answerable.core.search.narrative import ALIKE_MIN
from answerable.errors import Refused
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.testing.builders import Bench
from tests.worlds.scanned_story import scanned_story
from tests.worlds.searched import Searched
from tests.worlds.stories import texts, told_bench, told_of
from tests.worlds.walk import fields_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("STORY-01")]


async def busy_bench() -> Bench:
    """Reads of many cases, of which two are refused, and one that a person was asked about between them."""
    bench = await Bench().registered()
    await bench.issue(calls_max=100)
    for number in range(8):
        await bench.act(arguments={"case": f"case-{number}"})
    for _ in range(2):
        with suppress(Refused):
            await bench.refund(2_000_000)
    approval = (await bench.refund(7_000)).approval
    await bench.answer(approval, comment="agreed")
    await bench.refund(7_000)
    await bench.act(arguments={"case": "case-9"})
    return bench


def names_in(bench: Bench) -> set[str]:
    """Every id of the leaves, every index, and the names of people."""
    found = {str(index) for index in range(bench.recorder.ledger.size)}
    for stored in bench.recorder.ledger.replay():
        leaf = leaf_of(stored)
        for member in ("action", "approval", "mandate", "agent", "principal", "person", "by", "capability"):
            value = leaf.get(member)
            if isinstance(value, str) and value:
                found.add(value)
    return found | {"alice", "bob", "operator", str(fields_of(bench, Tag.APPROVAL_ASKED)[0]["digest"])}


@pytest.mark.requirement("WALK-13")
async def test_the_index_tells_what_a_scan_tells_of_every_name():
    bench = await told_bench()
    entries, find = [*bench.recorder.ledger.replay()], bench.recorder.subject_keys.find
    with told_of(bench.recorder) as told:
        for name in sorted(names_in(bench)):
            scanned = [(one.index, one.text) for one in scanned_story(entries, name, find)]
            assert [(one.index, one.text) for one in told(name).lines] == scanned, name


async def test_names_of_the_other_kinds_and_words_of_a_search_have_a_story_too():
    bench = await told_bench()
    intents = bench.entries(Tag.INTENT)
    key = intents[0]["proof"]["binding"]
    with told_of(bench.recorder) as told:
        for name, kind in (
            ("crm", "server"),
            ("4711", "resource"),
            ("support", "use-case"),
            ("refund-large", "rule"),
            (key, "key"),
        ):
            answer = told(name)
            assert answer.kinds == (kind,), name
            assert "intent" in {one.kind for one in answer.lines}
        refused = told("scout", "outcome:refused")
        assert [one.kind for one in refused.lines] == ["mandate_issued", "refusal", "mandate_closed"]
        assert told("outcome:refused").lines == refused.lines
        assert told("crm", "capability:crm.none").lines == ()
        assert told("nobody knows this").kinds == ()
        assert told("nobody knows this").happened


@pytest.mark.requirement("STORY-02")
async def test_what_is_alike_is_told_as_one_and_the_gist_says_who_for_whom_and_how():
    bench = await busy_bench()
    with told_of(bench.recorder) as told:
        answer = told("m-1")
    (group,) = answer.groups
    assert "Agent scout used crm.read 8 times for alice under mandate m-1: 8 succeeded." in group.line.text
    assert "about 8 resources: case-0, case-1, case-2, case-3, case-4 and 3 more" in group.line.details
    assert len(group.entries) == 2 * 8 >= 2 * ALIKE_MIN
    assert {one.index for one in answer.lines} >= set(group.entries)
    gist = answer.gist
    assert (gist.agents, gist.people) == (("scout",), ("alice",))
    assert gist.outcomes == {"succeeded": 10, "refused": 2}
    assert "m-1, use case support, purpose: Answer case 4711" in gist.tasks
    assert [one.endswith(": approved by bob") for one in gist.approvals] == [True]
    (paid,) = [one for one in bench.entries(Tag.INTENT) if one["capability"] == "crm.refund"]
    assert gist.not_reversible == (str(paid["index"]),)
    assert "It succeeded." in texts(answer)


@pytest.mark.requirement("STORY-02")
async def test_refused_actions_are_in_the_group_of_those_that_ran():
    bench = await Bench().registered()
    await bench.issue(calls_max=8)
    for number in range(10):
        with suppress(Refused):
            await bench.act(arguments={"case": f"case-{number}"})
    with told_of(bench.recorder) as told:
        (group,) = told("scout").groups
        assert group.line.text.endswith("8 succeeded, 2 refused.")
        told_as = "refused as mandate.budget_spent: 2, #"
        assert any(one.startswith(told_as) and "budget" in one[len(told_as) :] for one in group.line.details)
        cut = told("scout", limit=3)
        assert cut.is_cut
        assert sum(one.kind in ("intent", "refusal") for one in cut.lines) == 3


def test_an_end_that_was_corrected_is_in_the_story_with_the_one_that_corrects_it(tmp_path: Path):
    searched = Searched(tmp_path)
    intent = searched.action(approval="a-1")
    ends = [searched.end(intent, "indeterminate"), searched.end(intent)]
    for _ in range(2):
        index = searched.caught_up()
        story = StoryTeller(index, searched.ledger, searched.find).story(
            parsed_names(("a-1",), now=0), limit=9
        )
        assert [one.facts.entry for one in story.hits] == [intent]
        assert sorted(story.ends) == ends
        index._whole.execute("UPDATE reached SET entries = 0, leaf = ''")
        index.close()
