"""Simulating policy sets on what the ledger holds."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from msgspec import structs

from answerable.core.canonical import parse
from answerable.core.decision import compared as comparison
from answerable.core.decision.asked import CannotTell
from answerable.core.decision.compared import Past, Tally
from answerable.core.decision.decision import Decision
from answerable.core.ledger.subject import principal_subject
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused
from answerable.flows.policy import compare_decisions, publish_policy, try_policy
from answerable.flows.policy import simulate_policy as simulation
from answerable.flows.policy.compare_decisions import fields_asked
from answerable.flows.policy.simulate_policy import simulate_policy
from answerable.flows.recording.paced_reading import begins_at
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.walk import govern_action
from answerable.ports.policy_trial import PolicyTold
from answerable.testing.builders import POLICIES, Bench
from answerable.testing.samples import document, signing_key
from answerable.wiring import answers
from tests.worlds.parts import to_apply, to_simulate
from tests.worlds.publication import STOP, house

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PUB-07")]

CALLS = {"name": "calls", "over": "mandate"}


async def worked() -> Bench:
    """A bench on which things were allowed, refused and deferred, by policies and before them."""
    bench = await Bench().registered()
    await bench.issue()
    await bench.act()
    await bench.refund(100)
    await bench.refund(6_000)
    for amount in (2_000_000,):
        with pytest.raises(Refused):
            await bench.refund(amount)
    with pytest.raises(Refused):
        await bench.act("no_such_tool")
    with pytest.raises(Refused):
        await bench.act(mandate="m-none")
    return bench


async def all_pages(bench: Bench, *documents, **asked) -> tuple[Tally, list[Any], list[PolicyTold]]:
    tally, found, pages = Tally(), [], []
    start = asked.pop("start", None)
    while True:
        page = await simulate_policy(*to_simulate(bench.walk), documents, start=start, **asked)
        pages.append(page)
        tally.asked += page.tally.asked
        tally.same += page.tally.same
        for name in ("changes", "by_policy", "untold", "unasked"):
            total = getattr(tally, name)
            for key, count in getattr(page.tally, name).items():
                total[key] = total.get(key, 0) + count
        found += page.differences
        if page.end >= page.size:
            return tally, found, pages
        start = page.end


async def test_the_policies_that_are_in_force_change_nothing():
    bench = await worked()
    tally, found, _ = await all_pages(bench, house(POLICIES))
    assert (tally.asked, tally.same, found) == (4, 4, [])
    assert tally.unasked == {"not_asked": 2}


async def test_what_changes_is_listed_with_what_it_was_and_what_decides_it_now():
    bench = await worked()
    tally, found, _ = await all_pages(bench, house(STOP))
    assert tally.changes == {"allow→deny": 2, "defer→deny": 1}
    assert tally.by_policy["stop"] == 3
    assert [(one.was.capability, one.was.effect, one.now, one.by[0]) for one in found] == [
        ("crm.read", "allow", "deny", "stop"),
        ("crm.refund", "allow", "deny", "stop"),
        ("crm.refund", "defer", "deny", "stop"),
    ]
    assert found[0].reason == "all is stopped"
    looser = '@id("all") permit (principal, action, resource);'
    tally, _, _ = await all_pages(bench, house(looser))
    assert tally.changes == {"deny→allow": 1, "defer→allow": 1}


async def test_an_allow_under_other_obligations_is_a_change():
    bench = await worked()
    policies = POLICIES + (
        '@id("mask") @oblige("redact:/note") forbid (principal, action == Action::"crm.read", resource);'
    )
    tally, found, _ = await all_pages(bench, house(policies))
    assert tally.changes == {"allow→allow, other obligations": 1}
    assert (found[0].now, found[0].obligations) == ("allow", ("redact:/note",))


async def test_what_a_mandate_refused_stays_refused_whatever_the_candidate_permits():
    bench = await Bench().registered()
    await bench.issue(calls_max=1)
    await bench.act()
    with pytest.raises(Refused):
        await bench.act()
    tally, found, _ = await all_pages(bench, house('@id("all") permit (principal, action, resource);'))
    assert (found, tally.changes) == ([], {})


async def test_a_tracker_that_is_new_is_told_and_not_guessed():
    bench = await worked()
    policies = (
        POLICIES + '@id("often") forbid (principal, action, resource) when { context.history.calls > 100 };'
    )
    candidate = document("PolicySet", "house", {"policies": policies, "trackers": [CALLS]})
    tally, found, _ = await all_pages(bench, candidate)
    assert (tally.asked, found) == (0, [])
    assert tally.untold == {"tracker `calls` did not count yet": 4}


async def test_what_was_erased_is_counted_as_erased(monkeypatch):
    bench = await worked()
    gone = bench.recorder.subject_keys.of(principal_subject("alice"))
    find = bench.recorder.subject_keys.find
    monkeypatch.setattr(
        bench.recorder.subject_keys, "find", lambda key_id: None if key_id == gone.id else find(key_id)
    )
    tally, found, _ = await all_pages(bench, house(STOP))
    assert (tally.asked, found) == (0, [])
    assert tally.unasked["erased"] >= 4


async def test_a_credential_that_was_blotted_out_makes_a_question_that_is_not_asked():
    bench = await Bench().registered()
    await bench.issue()
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0." + "a" * 86
    with pytest.raises(Refused):
        await bench.act("refund", {"case": token, "amount": 2_000_000})
    tally, _, _ = await all_pages(bench, house(STOP))
    assert tally.unasked == {"hidden": 1}


async def test_it_is_taken_from_a_time_on_and_in_pages(monkeypatch):
    bench = await worked()
    bench.clock.advance(3_600_000)
    await bench.issue("m-2")
    await bench.act(mandate="m-2")
    tally, _, _ = await all_pages(bench, house(STOP), since=bench.clock.now() - 1_000)
    assert (tally.asked, tally.changes) == (1, {"allow→deny": 1})
    bench.clock.advance(30)
    since = bench.clock.now()
    await bench.act(mandate="m-2")
    tally, _, _ = await all_pages(bench, house(STOP), since=since)
    assert (tally.asked, tally.changes) == (1, {"allow→deny": 1}), "also where clocks may have gone back"
    assert begins_at(bench.recorder.ledger, 0) == 0
    assert begins_at(bench.recorder.ledger, bench.clock.now() + 3_600_000) == bench.recorder.ledger.size
    monkeypatch.setattr(try_policy, "DIFFERENCES_MAX", 1)
    tally, found, pages = await all_pages(bench, house(STOP))
    assert (len(found), tally.changes) == (5, {"allow→deny": 4, "defer→deny": 1})
    assert len(pages) >= 4
    assert [page.end for page in pages] == [page.start for page in pages[1:]] + [bench.recorder.ledger.size]


async def test_a_page_whose_time_is_up_says_where_to_go_on(monkeypatch):
    bench = await worked()
    monkeypatch.setattr(try_policy, "STRETCH_SECONDS_MAX", -1.0)
    page = await simulate_policy(*to_simulate(bench.walk), [house(STOP)])
    assert (page.start, page.end, page.tally.asked) == (0, 1, 0)
    tally, _, pages = await all_pages(bench, house(STOP))
    assert tally.changes == {"allow→deny": 2, "defer→deny": 1}
    assert len(pages) == bench.recorder.ledger.size, "an entry a page"


async def test_the_pages_of_a_simulation_plan_and_compile_it_once(monkeypatch):
    bench = await worked()
    answers._candidate.cache_clear()
    monkeypatch.setattr(try_policy, "STRETCH_SECONDS_MAX", -1.0)
    plans, planned = [], publish_policy.planned_sets

    async def counted(*given: Any, **more: Any) -> Any:
        plans.append(given)
        return await planned(*given, **more)

    monkeypatch.setattr(simulation, "planned_sets", counted)
    _, _, pages = await all_pages(bench, house(STOP))
    assert (len(plans), answers._candidate.cache_info().misses) == (1, 1)
    assert len(pages) > 1
    key = parse(signing_key("erin").public.jwk.encode())
    erin = document("Principal", "erin", {"groups": ["approvers"], "keys": [key]})
    await apply_registry(*to_apply(bench.walk), [erin], by="operator")
    await simulate_policy(*to_simulate(bench.walk), [house(STOP)])
    assert (len(plans), answers._candidate.cache_info().misses) == (2, 2), "the registry is another one"


async def test_a_candidate_with_faults_is_not_simulated():
    bench = await worked()
    with pytest.raises(Malformed):
        await simulate_policy(*to_simulate(bench.walk), [house("permit (")])


async def test_it_changes_nothing():
    bench = await worked()
    before = (
        bench.recorder.ledger.size,
        bench.authority.registry.documents(),
        bench.walk.policies.decision_point,
    )
    await all_pages(bench, house(STOP))
    assert before == (
        bench.recorder.ledger.size,
        bench.authority.registry.documents(),
        bench.walk.policies.decision_point,
    )


async def test_a_history_that_the_set_in_force_counted_is_asked_with_the_value_of_then(monkeypatch):
    tracked = (
        POLICIES + '@id("often") forbid (principal, action, resource) when { context.history.calls > 7 };'
    )
    bench = await Bench().registered()
    await bench.issue()
    counted = document("PolicySet", "house", {"policies": tracked, "trackers": [CALLS]})
    await apply_registry(*to_apply(bench.walk), [counted], by="operator")
    gathered = govern_action.facts_under

    def counting(*given):
        return structs.replace(gathered(*given), history={"calls": 5})

    monkeypatch.setattr(govern_action, "facts_under", counting)
    await bench.act()
    lower = document("PolicySet", "house", {"policies": tracked.replace("> 7", "> 4"), "trackers": [CALLS]})
    tally, _, _ = await all_pages(bench, lower)
    assert tally.changes == {"allow→deny": 1}


async def test_a_question_that_was_too_long_to_keep_is_counted_as_that():
    bench = await Bench().registered()
    await bench.issue()
    with pytest.raises(Refused):
        await bench.act("refund", {"case": "4" * 9_000, "amount": 2_000_000})
    tally, _, _ = await all_pages(bench, house(STOP))
    assert tally.unasked == {"not_kept": 1}


async def test_entries_that_cannot_be_read_are_counted_whatever_is_wrong_with_them():
    bench = await Bench().registered()
    await bench.issue()
    await bench.act()
    (index,) = [one["index"] for one in bench.entries(Tag.INTENT)]
    stored = bench.recorder.ledger.entry(int(str(index)))
    leaf = json.loads(stored.leaf)
    removed = structs.replace(stored, attachment=b"")
    swapped = structs.replace(stored, attachment=stored.attachment[:-1])
    short = stored.attachment[:40]
    leaf["payload"] = sha256(short).hexdigest()
    torn = structs.replace(stored, leaf=json.dumps(leaf).encode(), attachment=short)
    found = [
        fields_asked(bench.recorder.subject_keys.find, one, json.loads(one.leaf))[1]
        for one in (removed, swapped, torn)
    ]
    assert found == ["erased", "unreadable", "unreadable"]


async def test_a_question_of_another_version_is_counted_as_unreadable(monkeypatch):
    bench = await worked()
    monkeypatch.setattr(compare_decisions, "fields_asked", lambda *_: ({"question": b"{}"}, None))
    tally, found, _ = await all_pages(bench, house(STOP))
    assert (found, tally.asked) == ([], 0)
    assert set(tally.unasked) == {"unreadable"}


def test_names_past_the_bound_are_counted_together(monkeypatch):
    monkeypatch.setattr(comparison, "NAMES_MAX", 1)
    tally = Tally()
    was = Past(index=0, at=0, agent="a", capability="c", effect="allow", by=(), policy_set="")
    for name in ("one", "two", "three"):
        tally.add(was, Decision(effect="deny", reasons=(), determined_by=(name,), policy_set=""))
    assert tally.by_policy == {"one": 1, "others": 2}


@pytest.mark.requirement("PUB-20")
def test_a_reason_with_many_texts_is_counted_by_its_code_and_hides_no_other():
    tally = Tally()
    was = Past(index=0, at=0, agent="a", capability="c", effect="allow", by=(), policy_set="")
    for number in range(5_000):
        text = f"the question has no `action a{number}` as policies see it now"
        tally.add(was, CannotTell(code="question.fact_missing", text=text))
    for _ in range(3):
        tally.add(was, CannotTell(code="question.tracker_new", text="tracker `calls` did not count yet"))
    assert len(tally.untold) == comparison.TEXTS_MAX + 2
    assert tally.untold["question.fact_missing"] == 5_000 - comparison.TEXTS_MAX
    assert tally.untold["question.tracker_new"] == 3
    assert sum(tally.untold.values()) == 5_003
