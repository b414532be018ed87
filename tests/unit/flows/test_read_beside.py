"""What other entries say of an action is found with it: whose task it was, the money it moves, and its resource."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import revocable
from answerable.core.search.declared import Declared, Money, declared_in
from answerable.core.search.query import parsed_query
from answerable.errors import Refused
from answerable.flows.forensics.describe_name import Candidate, describe_name
from answerable.flows.forensics.tell_hits import answer_of
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.builders import Bench, bench_documents, with_spending
from tests.worlds.scanned_story import scanned_story
from tests.worlds.searched import Searched
from tests.worlds.stories import teller_of, told_of

pytestmark = pytest.mark.requirement("SEARCH-10")


@pytest.fixture
def searched(tmp_path: Path) -> Searched:
    return Searched(tmp_path)


async def refused_bench() -> Bench:
    """A read, a refund, a refusal by policy, and two after the mandate was revoked: before policies are asked."""
    bench = await Bench().registered([with_spending(one) for one in bench_documents()])
    await bench.issue(budgets=(("bytes", 120_000), ("money:EUR", 3_000_000), ("rows", 900)))
    await bench.act()
    await bench.refund(1_200)
    with suppress(Refused):
        await bench.refund(2_000_000)
    await revoke_authority(
        bench.recorder, bench.authority, bench.live, revocable("mandate", "m-1"), by="bob", reason="over"
    )
    for attempt in (bench.act(), bench.refund(900)):
        with suppress(Refused):
            await attempt
    return bench


@pytest.mark.anyio
async def test_a_refusal_is_found_by_whose_task_it_was_and_by_its_resource_whenever_it_came() -> None:
    bench = await refused_bench()
    with teller_of(bench.recorder) as teller:

        def found(*words: str) -> list[str]:
            return [one.facts.one("code") for one in teller.matching(parsed_query(words, now=0))]

        codes = ["revoked.mandate", "revoked.mandate", "refund-never"]
        assert found("person:alice", "outcome:refused") == codes
        assert found("resource:4711", "outcome:refused") == codes
        assert found("amount:900", "outcome:refused") == ["revoked.mandate"]
        hits = [*teller.matching(parsed_query(["outcome:refused"], now=0))]
        assert {one.facts.person for one in hits} == {"alice"}
        assert [one.facts.money for one in hits] == [
            Money(900, "EUR"),
            Money(),
            Money(2_000_000, "EUR"),
        ]
        described = describe_name(teller, Candidate("person", "alice"))
        assert dict(described.outcomes) == {"refused": 3, "succeeded": 2}
        assert ("person", "alice") in {
            (one.field, one.told)
            for one in describe_name(teller, Candidate("code", "revoked.mandate")).belongs
        }
    with told_of(bench.recorder) as told:
        gist = told("alice").gist
    assert (gist.outcomes, gist.people) == ({"succeeded": 2, "refused": 3}, ("alice",))


@pytest.mark.anyio
async def test_a_refusal_after_a_no_is_found_by_its_approval_and_by_who_said_no() -> None:
    bench = await Bench().registered()
    await bench.issue()
    for amount in (7_000, 8_000):
        asked = (await bench.refund(amount)).approval
        assert asked is not None
        await bench.answer(asked, verdict="deny", comment="not this one")
        with suppress(Refused):
            await bench.refund(amount)
    refused = [one["index"] for one in bench.entries(Tag.REFUSAL)]
    approvals = [str(one["approval"]) for one in bench.entries(Tag.APPROVAL_ASKED)]
    entries, find = [*bench.recorder.ledger.replay()], bench.recorder.subject_keys.find
    with teller_of(bench.recorder) as teller:

        def found(*words: str) -> list[int]:
            return [one.facts.entry for one in teller.matching(parsed_query(words, now=0))]

        assert found("approver:bob", "outcome:refused") == refused[::-1]
        for entry, approval in zip(refused, approvals, strict=True):
            assert found(f"approval:{approval}", "outcome:refused") == [entry]
    with told_of(bench.recorder) as told:
        for name in (*approvals, *(str(one["action"]) for one in bench.entries(Tag.REFUSAL)), "bob", "alice"):
            scanned = [one.index for one in scanned_story(entries, name, find)]
            assert [one.index for one in told(name).lines] == scanned, name
            assert {*scanned} & {*refused}


def test_the_principal_of_a_mandate_that_is_cited_from_another_log_counts_and_a_later_one_does_not(
    searched: Searched,
) -> None:
    searched.early_refusal("rover")
    searched.mandate("scout", "ada", cited=True)
    searched.mandate("rover", "bela")
    known = searched.early_refusal("scout")
    index = searched.caught_up()
    assert searched.found(index, "person:ada", "outcome:refused") == [known]
    assert searched.found(index, "person:bela", "outcome:refused") == []
    assert searched.page(index, "person:ada", "outcome:refused").hits[0].facts.person == "ada"
    # Who may no longer read the name still finds the refusal by the pseudonym.
    searched.erase("Tasks of ada")
    searched.follow(index)
    assert searched.found(index, "person:ada") == []
    pseudonym = searched.pseudonym("Tasks of ada", "ada")
    (hit,) = searched.page(index, f"person:{pseudonym}", "outcome:refused").hits
    assert hit.facts.person == pseudonym
    index.close()


def test_an_amount_is_what_was_declared_when_the_entry_was_written(searched: Searched) -> None:
    pays = {"amount": {"argument": "amount_minor", "currency": "EUR"}, "resource": {"argument": "case"}}
    before = searched.early_refusal(amount=7, amount_minor=168_050)
    searched.registry(crm=pays)
    after = searched.early_refusal(amount=7, amount_minor=168_050, case=4711)
    searched.registry(crm={"amount": {"argument": "amount_minor", "currencyArgument": "currency"}})
    later = searched.early_refusal(amount_minor=9, currency="JPY")
    index = searched.caught_up()
    assert searched.found(index, "amount:7") == [before]
    assert searched.found(index, "amount>5000") == [after]
    assert searched.found(index, "resource:4711") == [after]
    said = answer_of(searched.page(index, "outcome:refused")).items
    assert [(one.entry, one.amount, one.currency) for one in said] == [
        (later, 9, "JPY"),
        (after, 168_050, "EUR"),
        (before, 7, ""),
    ]
    # Followed entry by entry it is the same as read at once.
    searched.registry(crm=pays)
    searched.follow(index)
    last = searched.early_refusal(amount_minor=5_001)
    searched.follow(index)
    assert searched.found(index, "amount>5000") == [last, after]
    index.close()


@pytest.mark.parametrize(
    ("spec", "arguments", "money"),
    [
        ({}, {"amount": 5}, Money()),
        ({"amount": {"fixed": 0}}, {"amount": 5}, Money()),
        ({"amount": {"fixed": 7, "currency": "EUR"}}, {}, Money(7, "EUR")),
        ({"amount": {"argument": "a", "currency": "EUR"}}, {"a": 0}, Money(0, "EUR")),
        ({"amount": {"argument": "a", "currency": "EUR"}}, {"a": True}, Money()),
        ({"amount": {"argument": "a", "currency": "EUR"}}, {"a": "5"}, Money()),
        ({"amount": {"argument": "a", "currency": "EUR"}}, {"a": 2**53}, Money()),
        ({"amount": {"argument": "a", "currencyArgument": "c"}}, {"a": 5, "c": "euro"}, Money(5)),
        ({"amount": 5, "resource": [], "arguments": {}}, {"amount": 5}, Money()),
        (
            {
                "amount": {"argument": "a", "currency": "EUR"},
                "arguments": [{"name": "a", "pointer": "/order/total"}, {"name": "b"}, 3],
            },
            {"a": 1, "order": {"total": 6}},
            Money(6, "EUR"),
        ),
    ],
)
def test_only_what_has_the_declared_form_is_an_amount(
    spec: dict[str, object], arguments: dict[str, object], money: Money
) -> None:
    declared = declared_in({"changes": {"Capability/x": {"spec": spec}, "Agent/x": {"spec": {}}}})["x"]
    assert declared.money(declared.named(arguments)) == money


def test_what_cannot_be_read_declares_nothing() -> None:
    for fields in (
        None,
        {},
        {"changes": []},
        {"changes": {"Capability/x": None, "Capability/y": {"spec": 1}}},
    ):
        assert declared_in(fields) == {}
    assert Declared().resource_of({"case": "4711"}) == ""
    assert Declared(resource={"argument": "case"}).resource_of({"case": True}) == ""
    assert Declared(resource={"fixed": "ledger"}).resource_of({}) == "ledger"
