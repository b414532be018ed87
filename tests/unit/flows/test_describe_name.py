"""What any name stands for and what belongs to it: counted as a scan counts it, or listed where it is unclear."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.names import KINDS
from answerable.flows.forensics.describe_name import Candidate, describe_name, may_be
from answerable.flows.forensics.tell_story import StoryTeller
from tests.unit.flows.test_reconstruct_timeline import told_bench
from tests.worlds.searched import HOSTILE, Searched
from tests.worlds.stories import teller_of

pytestmark = pytest.mark.requirement("SHOW-01")


@pytest.mark.anyio
async def test_every_id_in_the_ledger_is_one_thing_and_its_counts_are_those_of_a_scan():
    bench = await told_bench()
    leaves = [leaf_of(one) for one in bench.recorder.ledger.replay()]
    acted = [one for one in leaves if one["tag"] in (Tag.INTENT, Tag.REFUSAL)]
    with teller_of(bench.recorder) as teller:
        for kind in ("action", "approval", "mandate", "agent", "capability", "server"):
            for name in sorted({str(one[kind]) for one in acted if one.get(kind)}):
                (found,) = may_be(teller, name)
                assert found == Candidate(kind, name)
                told = describe_name(teller, found)
                scanned = Counter(str(one.get(kind)) for one in acted)
                assert sum(count for _, count in told.outcomes) == scanned[name], name
        told = describe_name(teller, Candidate("mandate", "m-1"))
        belongs = {(one.field, one.told): one.entries for one in told.belongs}
        assert belongs["agent", "scout"] >= 3
        assert ("person", "alice") in belongs
        kinds = [one.line.kind for one in told.events]
        assert (kinds[0], kinds[-1]) == ("mandate_issued", "mandate_closed")
        assert {
            one.candidate.kind for one in [describe_name(teller, c) for c in may_be(teller, "alice")]
        } == {"person"}
        number = next(index for index, one in enumerate(leaves) if one["tag"] == Tag.OUTCOME)
        (intent,) = describe_name(teller, Candidate("entry", str(number))).newest
        assert intent.facts.entry == leaves[number]["intent"]
        assert may_be(teller, f"entry:{len(leaves)}") == may_be(teller, "nobody knows this") == ()


@pytest.fixture
def searched(tmp_path: Path) -> Searched:
    return Searched(tmp_path)


def of(searched: Searched, word: str) -> tuple[Candidate, ...]:
    index = searched.caught_up()
    try:
        return may_be(StoryTeller(index, searched.ledger, searched.find, searched.known), word)
    finally:
        index.close()


def test_a_name_of_several_things_and_the_beginning_of_several_names_are_listed(searched: Searched):
    searched.action("support", resource="support", approval="appr-11")
    searched.action("support-agent", approval="appr-12")
    assert of(searched, "agent:support") == (Candidate("agent", "support"),)
    assert set(of(searched, "support")) == {
        Candidate("agent", "support"), Candidate("resource", "support"), Candidate("use-case", "support"),
    }  # fmt: skip
    assert set(of(searched, "appr-")) == {Candidate("approval", "appr-11"), Candidate("approval", "appr-12")}
    assert of(searched, "appr-12…") == (Candidate("approval", "appr-12"),)
    assert of(searched, "app") == of(searched, "agent:nobody") == ()


def test_names_of_every_kind_are_found_and_what_a_caller_wrote_is_only_a_name(searched: Searched):
    for text in HOSTILE:
        searched.end(searched.action(text, resource=text, leased=True), pg_session=text)
    lease, account = searched.account_lease(1)
    searched.hold("h-1", HOSTILE[0])
    for word, kind in (
        (lease, "lease"),
        (account, "lease"),
        ("h-1", "hold"),
        ("thumb-<script>alert(1)</script>", "key"),
    ):
        assert {one.kind for one in of(searched, word)} == {kind}, word
    for text in HOSTILE:
        assert {one.kind for one in of(searched, text)} == {"agent", "resource", "session"}, text
    assert set(KINDS) >= {"lease", "session", "hold", "token", "instance", "manifest", "digest"}
