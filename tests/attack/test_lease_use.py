"""Counting granted against used from a ledger: what counts, what does not, and what nobody can bend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from answerable.apps.cli.lease_use import counted_use
from answerable.core.action.outcome import Outcome
from answerable.core.canonical import parse
from answerable.core.lease.scope import filled
from answerable.core.lease.use import Needed as Enough
from answerable.core.lease.use import Right, Used, UseTally, smaller, use_of, use_record
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.counters.count_history import fields_of
from answerable.flows.leases import tell_lease_use
from answerable.flows.leases.count_lease_use import (
    count_lease_use,
    leased,
    leased_capabilities,
    other_logs,
    rights_of,
    with_grants,
)
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.lease_side import LeaseSide
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.logs_at_hand import JoinedSearches, LogAtHand
from tests.worlds.parts import to_apply

if TYPE_CHECKING:
    from answerable.ports.lease_use import LeaseUseTold
    from answerable.ports.search_process import A, Q, QuestionKind

pytestmark = pytest.mark.anyio

GRANTS = {"cases": [{"id": "{argument.case}", "by": "{agent}"}], "rows": 5}
CASES, ROWS = Right("cases/0", "case {argument.case}"), Right("rows", "rows")
READ = "get_case"


@dataclass
class TellingBroker:
    """Port LeaseBroker, as far as it tells of rights."""

    async def rights(self, target: str, grants: Any) -> list[Right]:
        return [CASES, ROWS] if target == "crm-db" and "cases" in grants else []


def documents(grants: Any = GRANTS) -> list[Any]:
    found: list[Any] = bench_documents()
    for one in found:
        if one["kind"] == "Server":
            one["spec"] = {"target": "crm-db"}
        if one["kind"] == "Capability" and one["spec"].get("method", "tools/call") == "tools/call":
            one["spec"]["lease"] = {"grants": grants}
    return [one for one in found if one["kind"] != "Capability" or "lease" in one["spec"]]


def told(
    *sure: str, grants: Any = GRANTS, case: str = "4711", status: Any = "succeeded", **more: Any
) -> Outcome:
    """An outcome as a broker tells it. case: of the action whose scope it is."""
    scope = filled(grants, {"argument.case": case, "agent": "scout", "resource": case, "mandate": "m-1"})
    used = use_record(Used(frozenset(sure)), scope.hex)
    return Outcome(status=status, result={"ok": True}, used=used, **more)


async def a_bench(grants: Any = GRANTS) -> Bench:
    bench = await Bench().registered(documents(grants))
    bench.live.leases = LeaseSide(broker="broker", asks=TellingBroker())
    await bench.issue()
    return bench


async def acts(bench: Bench, outcome: Outcome, case: str = "4711") -> None:
    bench.upstream.answer = lambda _: outcome
    await bench.act(READ, {"case": case})


async def page_of(bench: Bench, searches: Any = None, **asked: Any) -> LeaseUseTold:
    known = leased_capabilities(bench.authority.registry).values()
    return await count_lease_use(searches or IndexAtHand(bench.recorder), known, bench.live.leases, **asked)


async def tally_of(bench: Bench, **asked: Any) -> UseTally:
    """Every page together, of the capability that reads cases."""
    name = next(
        name
        for name, one in leased_capabilities(bench.authority.registry).items()
        if one.capability.target == READ
    )
    found, start = UseTally(), None
    while True:
        page = await page_of(bench, start=start, **asked)
        if name in page.tallies:
            found.merge(counted_use(page.tallies[name]))
        if page.end >= page.size:
            return found
        start = page.end


@pytest.mark.requirement("RIGHTS-03", "RIGHTS-04")
async def test_what_succeeded_counts_once_under_the_scope_that_it_had():
    bench = await a_bench()
    await acts(bench, told("cases/0"))
    await acts(bench, told("cases/0", "rows", case="9"), case="9")
    tally = await tally_of(bench)
    assert (tally.told, tally.untold, tally.elsewise) == (2, {}, 0)
    assert {place: use.sure for place, use in tally.rights.items()} == {"cases/0": 2, "rows": 1}
    sealed = [bench.opened(one.index)[1] for one in bench.recorder.ledger.replay(0) if one.tag == Tag.OUTCOME]
    assert [one["used"]["sure"] for one in sealed] == [["cases/0"], ["cases/0", "rows"]]
    leaves = bench.entries(Tag.OUTCOME)
    assert all("used" not in leaf for leaf in leaves), "it is sealed"


@pytest.mark.requirement("RIGHTS-03", "RIGHTS-05")
@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (told("rows", status="failed", detail="no"), {"failed": 1}),
        (told("rows", status="indeterminate"), {"unended": 1}),
        (told("rows", status="not_started"), {}),
        (Outcome(status="succeeded", result={}), {"untold": {"not_told": 1}}),
        (
            Outcome(status="succeeded", result={}, used={"scope": "x", "sure": ["rows"], "unsure": []}),
            {"untold": {"not_told": 1}},
        ),
        (told("rows", case="another"), {"elsewise": 1}),
    ],
)
async def test_what_failed_lies_or_does_not_tell_is_no_use_of_anything(outcome, said):
    bench = await a_bench()
    await acts(bench, outcome)
    tally = await tally_of(bench)
    assert tally.rights == {}
    seen = {
        "failed": tally.failed,
        "unended": tally.unended,
        "untold": tally.untold,
        "elsewise": tally.elsewise,
    }
    assert {name: count for name, count in seen.items() if count} == said
    assert use_of(ROWS, tally) in ("no data", "unknown")


@pytest.mark.requirement("RIGHTS-04")
async def test_what_was_used_of_another_template_is_not_counted_under_this_one():
    other = {"cases": [{"id": "{argument.case}", "by": "{agent}"}], "rows": 50}
    bench = await a_bench(other)
    await acts(bench, told("cases/0", grants=other))
    await apply_registry(*to_apply(bench.walk), documents(GRANTS), by="operator")
    await acts(bench, told("rows"))
    tally = await tally_of(bench)
    assert (tally.told, tally.elsewise) == (1, 1)
    assert [*tally.rights] == ["rows"]


@pytest.mark.requirement("RIGHTS-04", "RIGHTS-05")
@pytest.mark.parametrize("tag", [Tag.OUTCOME, Tag.INTENT])
async def test_what_cannot_be_read_any_more_leaves_everything_unknown(monkeypatch, tag):
    bench = await a_bench()
    await acts(bench, told("cases/0"))
    monkeypatch.setattr(
        tell_lease_use,
        "fields_of",
        lambda keys, stored, leaf: None if stored.tag == tag else fields_of(keys, stored, leaf),
    )
    tally = await tally_of(bench)
    assert tally.told + sum(tally.untold.values()) == 1
    assert tally.untold == {"unreadable": 1}
    assert {use_of(right, tally) for right in (CASES, ROWS)} == {"unknown"}
    assert smaller((CASES, ROWS), tally, Enough(actions=0, days=0), now=bench.clock.now()).dropped == ()


@pytest.mark.requirement("RIGHTS-04")
async def test_a_template_filled_from_the_resource_is_known_by_the_question_that_was_asked():
    grants = {"cases": ["{resource}"]}
    bench = await a_bench(grants)
    await acts(bench, told("cases/0", grants=grants))
    assert (await tally_of(bench)).told == 1


@pytest.mark.requirement("RIGHTS-04")
async def test_it_is_counted_in_pages_and_from_a_time_on(monkeypatch):
    bench = await a_bench()
    await acts(bench, told("cases/0"))
    bench.clock.advance(600)
    since = bench.clock.now()
    await acts(bench, told("rows"))
    whole = await tally_of(bench)
    assert [*(await tally_of(bench, since=since)).rights] == ["rows"]
    assert tell_lease_use.STRETCH_SECONDS_MAX > 0
    monkeypatch.setattr(tell_lease_use, "STRETCH_SECONDS_MAX", -1.0)
    assert await tally_of(bench) == whole, "an entry a page"


@pytest.mark.requirement("RIGHTS-04")
async def test_a_capability_without_a_lease_is_told_apart_from_one_that_is_not_there():
    bench = await a_bench()
    names = leased_capabilities(bench.authority.registry)
    for name, one in names.items():
        assert await rights_of(bench.live.leases, leased(bench.authority.registry, name)) == [CASES, ROWS]
        assert one.target == "crm-db"
    with pytest.raises(Refused) as unknown:
        leased(bench.authority.registry, "nothing")
    assert unknown.value.code == "capability.unknown"
    plain = await Bench().registered()
    with pytest.raises(Refused) as unleased:
        leased(plain.walk.authority.registry, next(iter(plain.walk.authority.registry.current.capabilities)))
    assert unleased.value.code == "capability.unleased"


@pytest.mark.requirement("RIGHTS-06")
async def test_a_document_with_other_grants_is_the_same_in_all_else():
    bench = await a_bench()
    name = next(iter(leased_capabilities(bench.authority.registry)))
    document: Any = parse(bench.authority.registry.documents()[f"Capability/{name}"])
    changed: Any = with_grants(document, {"rows": 1})
    assert changed["spec"]["lease"].pop("grants") == {"rows": 1}
    assert document["spec"]["lease"].pop("grants") == GRANTS, "the one that is in force is not touched"
    assert changed == document
    for odd in (None, {}, {"spec": {}}, {"spec": {"lease": {}}}):
        with pytest.raises(Malformed):
            with_grants(odd, {})


@pytest.mark.requirement("RIGHTS-04")
async def test_what_a_capability_did_before_it_had_a_lease_is_not_counted():
    bench = await Bench().registered()
    await bench.issue()
    await acts(bench, Outcome(status="succeeded", result={}))
    bench.live.leases = LeaseSide(broker="broker", asks=TellingBroker())
    await apply_registry(*to_apply(bench.walk), documents(), by="operator")
    assert await tally_of(bench) == UseTally()


@pytest.mark.requirement("RIGHTS-04")
async def test_an_action_that_lacks_what_a_later_template_is_filled_from_had_another_one():
    plain = {"cases": ["all"]}
    bench = await a_bench(plain)
    await acts(bench, told("cases/0", grants=plain))
    later = documents({"cases": ["{argument.note}"]})
    for one in later:
        if one["kind"] == "Capability":
            one["spec"]["arguments"] = [*one["spec"].get("arguments", []), {"name": "note", "type": "string"}]
    await apply_registry(*to_apply(bench.walk), later, by="operator")
    tally = await tally_of(bench)
    assert (tally.told, tally.elsewise) == (0, 1)


@pytest.mark.requirement("RIGHTS-04")
async def test_a_whole_number_fills_a_template_as_it_did_then():
    grants = {"amounts": ["{argument.amount}"]}
    bench = await a_bench(GRANTS)
    found = documents(GRANTS)
    for one in found:
        if one["kind"] == "Capability" and one["spec"]["target"] == "refund":
            one["spec"]["lease"] = {"grants": grants}
    await apply_registry(*to_apply(bench.walk), found, by="operator")
    scope = filled(grants, {"argument.amount": "1200"})
    record = use_record(Used(frozenset({"amounts/0"})), scope.hex)
    bench.upstream.answer = lambda _: Outcome(status="succeeded", result={}, used=record)
    await bench.refund(1200)
    page = await page_of(bench)
    (tally,) = page.tallies.values()
    assert (tally.told, [*tally.rights]) == (1, ["amounts/0"])


@pytest.mark.requirement("RIGHTS-04")
async def test_a_question_that_was_not_kept_leaves_a_template_of_the_resource_unknown(monkeypatch):
    grants = {"cases": ["{resource}"]}
    bench = await a_bench(grants)
    await acts(bench, told("cases/0", grants=grants))
    monkeypatch.setattr(
        tell_lease_use,
        "fields_of",
        lambda *given: {n: v for n, v in fields_of(*given).items() if n != "question"},
    )
    assert (await tally_of(bench)).untold == {"unreadable": 1}


@dataclass
class Beside:
    """Port StoredLog, as far as a log is named."""

    name: str


class Unreadable(LogAtHand):
    """A shard whose log cannot be read."""

    def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        raise Unavailable("cannot read a log", code="ledger.unreadable", port="ledger")


@pytest.mark.requirement("RIGHTS-04", "RIGHTS-05")
async def test_what_another_process_wrote_was_used_as_well_and_is_never_taken_for_unused():
    bench, other = await a_bench(), await Bench().registered(documents())
    (plain,) = [one for one in documents() if one["kind"] == "Capability" and one["spec"]["target"] != READ]
    del plain["spec"]["lease"]
    plain["spec"]["server"] = "own"
    (server,) = [one for one in bench_documents() if one["kind"] == "Server"]
    own = {**server, "metadata": {"name": "own"}}
    await apply_registry(*to_apply(bench.walk), [own, plain], by="operator")
    other.walk.recorder.subject_keys = bench.recorder.subject_keys
    other.walk.live.leases = LeaseSide(broker="broker", asks=TellingBroker())
    await other.issue()
    since = other.clock.now() + 600_000
    await acts(other, told("cases/0"))
    other.clock.advance(600)
    for outcome in (told("rows"), told("rows", status="failed"), told("rows", status="indeterminate")):
        await acts(other, outcome)
    await other.refund(1200)
    bench.live.leases.others = lambda: (Beside("b"),)
    assert other_logs(bench.live.leases) == ("b",)
    searches = JoinedSearches(a=LogAtHand(bench.recorder), b=LogAtHand(other.recorder))
    assert (await page_of(bench, searches)).tallies == {}
    page = await page_of(bench, searches, log="b")
    (tally,) = page.tallies.values()
    assert (page.size, page.end) == (other.recorder.ledger.size, other.recorder.ledger.size)
    assert (tally.told, tally.failed, tally.unended) == (2, 1, 1)
    assert {*tally.rights} == {"cases/0", "rows"}
    (late,) = (await page_of(bench, searches, log="b", since=since)).tallies.values()
    assert {*late.rights} == {"rows"}
    with pytest.raises(Refused) as unknown:
        await page_of(bench, searches, log="c")
    assert unknown.value.code == "lease.log_unknown"
    with pytest.raises(Malformed) as gone:
        await page_of(bench, JoinedSearches(a=LogAtHand(bench.recorder)), log="b")
    assert gone.value.code == "search.log", "of a shard that went in between"
    lost = Unreadable(other.recorder)
    with pytest.raises(Unavailable):
        await page_of(bench, JoinedSearches(a=LogAtHand(bench.recorder), b=lost), log="b")


@pytest.mark.requirement("RIGHTS-04", "RIGHTS-05")
async def test_the_log_of_another_shard_is_counted_page_by_page_too(monkeypatch):
    bench, other = await a_bench(), await a_bench()
    await acts(other, told("cases/0"))
    await acts(other, told("rows"))
    bench.live.leases.others = lambda: (Beside("b"),)
    searches = JoinedSearches(a=LogAtHand(bench.recorder), b=LogAtHand(other.recorder))
    whole = await tally_of(bench, searches=searches, log="b")
    assert whole.told == 2
    monkeypatch.setattr(tell_lease_use, "STRETCH_SECONDS_MAX", -1.0)
    assert await tally_of(bench, searches=searches, log="b") == whole
