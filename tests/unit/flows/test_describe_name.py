"""What any name stands for and what belongs to it: counted as a scan counts it, or listed where it is unclear."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.names import KINDS, parsed_names
from answerable.flows.forensics.describe_name import Candidate, completed_names, describe_name, may_be
from answerable.flows.forensics.tell_story import StoryTeller
from tests.worlds.searched import HOSTILE, Searched
from tests.worlds.stories import teller_of, told_bench

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
        Candidate("agent", "support"), Candidate("use-case", "support"),
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
        found = of(searched, text)
        assert {kind for one in found for kind in (one.kind, *one.same)} == {"agent", "session"}, text
    assert set(KINDS) >= {"lease", "session", "hold", "token", "instance", "manifest", "digest"}


def test_what_an_agent_writes_in_an_argument_never_hides_what_has_the_name(searched: Searched):
    searched.action("payer", person="chen", approval="appr-11")
    for name in ("chen", "appr-11", "payer", "0"):
        for _ in range(2):
            searched.action("poisoner", resource=name, tag=Tag.REFUSAL)
    index = searched.caught_up()
    teller = StoryTeller(index, searched.ledger, searched.find, searched.known)
    for name, kind in (("chen", "person"), ("appr-11", "approval"), ("payer", "agent"), ("0", "entry")):
        (found,) = may_be(teller, name)
        assert found == Candidate(kind, name)
        (beside,) = describe_name(teller, found).beside
        assert (beside.written(), beside.entries) == (f"resource:{name}", 2)
        story = teller.story(parsed_names((name,), now=0), limit=9)
        assert (story.kinds, story.beside) == ((kind,), (beside,))
        assert "poisoner" not in {one.facts.one("agent") for one in story.hits}
    told = teller.story(parsed_names(("resource:chen",), now=0), limit=9)
    assert {one.facts.one("agent") for one in told.hits} == {"poisoner"}
    (asked,) = may_be(teller, "resource:chen")
    assert describe_name(teller, asked).beside == ()
    index.close()


def test_a_name_of_two_kinds_with_the_same_entries_is_one_thing(searched: Searched):
    searched.action(tag=Tag.REFUSAL, by=["mandate.caveat"], code="mandate.caveat")
    assert of(searched, "mandate.caveat") == (Candidate("rule", "mandate.caveat", ("code",)),)
    searched.action(tag=Tag.REFUSAL, by=["mandate.caveat"], code="policy.forbidden")
    assert {one.kind for one in of(searched, "mandate.caveat")} == {"rule", "code"}


def test_an_agent_that_exceeded_the_limit_of_a_rule_is_no_person(searched: Searched):
    searched.action("support-agent")
    searched.add(
        Tag.RULE_FIRED, rule="loops", over="agent", owner="support-agent", hold="h-1", agent="support-agent"
    )
    searched.add(Tag.RULE_FIRED, rule="loops", over="mandate", owner="m-7", hold="h-2", name="scout")
    assert of(searched, "support-agent") == (Candidate("agent", "support-agent"),)
    assert of(searched, "m-7") == (Candidate("mandate", "m-7"),)


def test_names_are_taken_as_they_are_shown(searched: Searched):
    whole, digest = "session:68h3yb71yscecw19s074acn26e", "0079675714a8" + "f" * 52
    searched.action(proof={"binding": whole, "kind": "session", "sequence": 1}, manifest=digest)
    searched.end(searched.action(resource="4712"), pg_session="6a2f.1b")
    index = searched.caught_up()
    teller = StoryTeller(index, searched.ledger, searched.find, searched.known)
    for word, found in (
        ("#1", Candidate("entry", "1")),
        ("entry:#1", Candidate("entry", "1")),
        (whole, Candidate("key", whole)),
        ("session:68h3…", Candidate("key", whole)),
        ("0079675714a8…", Candidate("manifest", digest)),
        ("session:6a2f.1b", Candidate("session", "6a2f.1b")),
    ):
        assert may_be(teller, word) == (found,), word
        asked = completed_names(teller, parsed_names((word,), now=0))
        assert len(teller.story(asked, limit=9).hits) == 1, word
    assert completed_names(teller, parsed_names(("beginning…", "#1"), now=0)).names == ("beginning…", "#1")
    index.close()
