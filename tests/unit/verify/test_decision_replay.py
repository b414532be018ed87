"""A stranger asks recorded decisions again: the same, or an alarm; erased and not disclosed are answers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.core.ledger.tags import Tag
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.mandate import Grant
from answerable.errors import Refused, Unavailable
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.delegation import root
from answerable.verify.decision_replay import Replay, replay, replay_all
from answerable.verify.ledger_replay import decision_entry, replay_entries
from answerable.verify.replay_statements import Statements
from answerable.verify.replayed import DecisionEntry, Said
from tests.worlds.question import in_version_1

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.verify.replayed import Replayed

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ANSWER-01")]

NARROWING = POLICIES.replace('@approve("approvers:1")\n', '@oblige("modify:amount<=5000; log:full")\n')


async def ready(policies: str = POLICIES, **terms: object) -> Bench:
    bench = await Bench().registered(bench_documents(policies))
    await bench.issue(**terms)
    return bench


def replayed(bench: Bench) -> list[Replayed]:
    return list(replay_entries(bench.recorder.ledger.replay(), bench.recorder.subject_keys.find))


def decisions(bench: Bench) -> tuple[list[DecisionEntry], Statements]:
    """The decisions of a log, and what was written down in it."""
    statements, entries = Statements(), []
    for stored in bench.recorder.ledger.replay():
        entry = decision_entry(stored, bench.recorder.subject_keys.find)
        statements.take(stored.tag, entry.leaf, entry.fields or {})
        if stored.tag in (Tag.INTENT, Tag.REFUSAL, Tag.APPROVAL_ASKED):
            entries.append(entry)
    return entries, statements


def asked_again(entry: DecisionEntry, statements: Statements) -> Replayed:
    return replay(entry, policies=statements.policy_set(entry.leaf), mandate=statements.mandate(entry.leaf))


async def refused(bench: Bench, amount: int) -> None:
    with pytest.raises(Refused):
        await bench.refund(amount)


async def test_allowed_denied_deferred_and_approved_are_derived_as_they_were_decided():
    bench = await ready()
    await bench.act()
    await refused(bench, 2_000_000)
    waiting = (await bench.refund(6_000)).approval
    assert waiting is not None
    await bench.answer(waiting)
    await bench.refund(6_000)
    found = replayed(bench)
    assert [(one.verdict, one.recorded.effect) for one in found] == [
        ("same", "allow"),
        ("same", "deny"),
        ("same", "defer"),
        ("same", "allow"),
    ]
    assert found[-1].derived is not None
    assert found[-1].derived.lifted == ("refund-large",)
    assert all(one.unchecked == () for one in found)


async def test_what_a_mandate_did_not_allow_is_derived_from_the_mandate():
    bench = await ready(grants=(Grant(capability="crm.read"),))
    await refused(bench, 10)
    (found,) = replayed(bench)
    assert (found.verdict, found.recorded.by) == ("same", ("mandate.capability_outside",))


async def test_a_refusal_under_a_mandate_that_allows_the_action_is_an_alarm_that_says_what_follows_from_it():
    narrow, wide = await ready(grants=(Grant(capability="crm.read"),)), await ready()
    for bench in (narrow, wide):
        await bench.act()
    await refused(narrow, 10)
    (_, entry), statements = decisions(narrow)
    (allowed,), others = decisions(wide)
    found = replay(entry, policies=statements.policy_set(entry.leaf), mandate=others.mandate(allowed.leaf))
    assert (found.verdict, found.derived) == ("differs", Said(effect="allow", by=()))


async def test_a_narrowed_action_is_derived_in_both_its_steps():
    bench = await ready(NARROWING)
    await bench.refund(9_000)
    (found,) = replayed(bench)
    assert (found.verdict, found.recorded.effect) == ("same", "allow"), found.text


@pytest.mark.parametrize(
    "change",
    [
        {"decision": {"effect": "allow", "by": ["refund"]}},
        {"decision": {"effect": "allow", "by": ["read", "refund"]}},
        {"decision": {"effect": "defer", "by": ["read"]}},
        {"decision": {"effect": "allow", "by": ["read"], "lifted": ["refund-large"]}},
        {"decision": {"effect": "allow", "by": ["read"], "obligations": ["log"]}},
        {"decision": {"effect": "allow", "by": []}},
        {"agent": "rover"},
        {"capability": "crm.refund"},
        {"mandate": "m-2"},
        {"at": 1},
        {"approval": "a-1"},
        {"tier": 0},
        {"use_case": "finance"},
    ],
)
async def test_whatever_was_recorded_otherwise_than_it_is_derived_is_an_alarm(change):
    bench = await ready()
    await bench.act()
    (entry,), statements = decisions(bench)
    leaf = {**entry.leaf, **change}
    if "decision" in change:
        leaf["decision"] = {**entry.leaf["decision"], "lifted": [], **change["decision"]}
    assert asked_again(entry, statements).verdict == "same"
    policies = statements.policy_set(entry.leaf)
    mandate = statements.mandate(entry.leaf)
    assert replay(structs.replace(entry, leaf=leaf), policies=policies, mandate=mandate).verdict == "differs"


async def test_another_policy_set_than_the_one_that_is_named_is_an_alarm():
    bench = await ready()
    await bench.act()
    (entry,), statements = decisions(bench)
    leaf = entry.leaf
    digest = leaf["decision"]["policy_set"]
    forged = Statements()
    text = json.dumps({"policies": POLICIES + "\n", "schema_digest": "0" * 64}).encode()
    forged.take(Tag.CITED, {"kind": "policy_set", "name": digest}, {"text": text})
    found = replay(entry, policies=forged.policy_set(leaf), mandate=statements.mandate(leaf))
    assert found.verdict == "differs"
    assert "is not the one that decided" in found.text


async def test_an_intent_that_its_mandate_did_not_cover_is_an_alarm():
    bench = await ready()
    await bench.act()
    (entry,), statements = decisions(bench)
    mandate = statements.mandate(entry.leaf)
    assert mandate is not None
    narrower = replace(mandate, grants=(Grant(capability="crm.refund"),))
    found = replay(entry, policies=statements.policy_set(entry.leaf), mandate=narrower)
    assert found.verdict == "differs"


@pytest.mark.requirement("ANSWER-02")
async def test_what_is_erased_or_not_shown_is_said_and_never_guessed():
    bench = await ready()
    await bench.act()
    (entry,), statements = decisions(bench)
    policies, mandate = statements.policy_set(entry.leaf), statements.mandate(entry.leaf)
    assert entry.fields is not None

    def verdict(**changed: object) -> str:
        return replay(structs.replace(entry, **changed), policies=policies, mandate=mandate).verdict

    assert verdict(fields=None) == "erased"
    assert verdict(fields={}, whole=False) == "not_disclosed"
    digest_only = {name: value for name, value in entry.fields.items() if name != "question"}
    assert verdict(fields={**digest_only, "question_digest": b'"00"'}) == "not_disclosed"
    hidden = entry.fields["question"].replace(b'"4711"', b'"[hidden: jose]"')
    assert verdict(fields={**entry.fields, "question": hidden}) == "not_disclosed"
    assert replay(entry, policies=None, mandate=mandate).verdict == "not_disclosed"
    later = entry.fields["question"].replace(b'"v":3}', b'"v":4}')
    assert verdict(fields={**entry.fields, "question": later}) == "cannot_tell"
    without = replay(entry, policies=policies, mandate=None)
    assert (without.verdict, without.unchecked) == ("same", ("mandate",))


@pytest.mark.requirement("ANSWER-02")
@pytest.mark.parametrize("field", ["question", "request", "obligations"])
async def test_a_field_that_no_version_writes_is_told_and_spoils_no_other_decision(field):
    bench = await ready()
    await bench.act()
    await bench.act()
    entries, statements = decisions(bench)
    first, second = entries
    assert first.fields is not None
    odd = structs.replace(first, fields={**first.fields, field: b"nan"})
    policies, mandate = statements.policy_set(first.leaf), statements.mandate(first.leaf)
    found = replay_all([Replay(one, policies, mandate, (), whole=False) for one in (odd, second)])
    assert [one.verdict for one in found] == ["cannot_tell", "same"]


@pytest.mark.requirement("ANSWER-02")
async def test_a_mandates_no_is_not_disclosed_while_the_mandate_is_not_shown():
    bench = await ready(grants=(Grant(capability="crm.read"),))
    await refused(bench, 10)
    (entry,), statements = decisions(bench)
    assert replay(entry, policies=None, mandate=statements.mandate(entry.leaf)).verdict == "same"
    assert replay(entry, policies=None, mandate=None).verdict == "not_disclosed"


@pytest.mark.requirement("ANSWER-02")
async def test_a_refusal_before_any_policy_was_asked_is_no_decision_to_derive():
    bench = await ready()
    with pytest.raises(Refused):
        await bench.act("no_such_tool")
    (found,) = replayed(bench)
    assert found.verdict == "not_asked"


@pytest.mark.requirement("ANSWER-02")
async def test_an_entry_whose_key_was_destroyed_is_erased():
    bench = await ready()
    await bench.act()
    log = [one for one in bench.recorder.ledger.replay() if one.tag != Tag.INTENT]
    intents = [one for one in bench.recorder.ledger.replay() if one.tag == Tag.INTENT]
    statements = Statements()
    assert list(replay_entries(log, bench.recorder.subject_keys.find, statements=statements)) == []
    (found,) = replay_entries(intents, lambda _: None, statements=statements)
    assert found.verdict == "erased"


DECLARED: dict[str, JSONValue] = {
    "windows": [{"name": "freeze", "startsAt": "00:00", "stopsAt": "23:59"}],
    "risk": [{"name": "large", "points": 90, "fact": "argument", "of": "amount", "atLeast": 40}],
}
LOOKING = POLICIES + (
    '@id("frozen") @approve("approvers:1") forbid (principal, action == Action::"crm.refund", resource)\n'
    "when { context.windows.freeze && context.risk.score > 80 };\n"
)


async def test_what_a_policy_set_declares_is_written_down_with_it_and_its_facts_are_derived_again():
    documents = bench_documents(LOOKING)
    for document in documents:
        if isinstance(document, dict) and document["kind"] == "PolicySet":
            assert isinstance(document["spec"], dict)
            document["spec"].update(DECLARED)
    bench = await Bench().registered(documents)
    await bench.issue()
    assert (await bench.refund(50)).approval is not None
    await bench.refund(30)
    assert [(one.verdict, one.recorded.effect) for one in replayed(bench)] == [
        ("same", "defer"),
        ("same", "allow"),
    ]
    entries, statements = decisions(bench)
    asked = entries[0]
    assert asked.fields is not None
    told = asked.fields["question"].replace(b'"windows":{"freeze":true}', b'"windows":{"freeze":false}')
    assert told != asked.fields["question"]
    found = asked_again(structs.replace(asked, fields={**asked.fields, "question": told}), statements)
    assert (found.verdict, "windows" in found.text) == ("differs", True)


@pytest.mark.requirement("ANSWER-03")
async def test_a_denial_refers_to_what_is_cited_and_else_to_what_was_published_by_the_digest_of_its_statement():
    bench = await ready()
    await refused(bench, 2_000_000)
    (first,), statements = decisions(bench)
    assert "policy_ref" not in first.leaf
    assert asked_again(first, statements).verdict == "same"
    await bench.act()
    await refused(bench, 2_000_000)
    later = decisions(bench)[0][-1]
    for member, name in (("policy_ref", later.leaf["policy_set"]), ("mandate_ref", "m-1")):
        leaf, _ = bench.opened(later.leaf[member]["entry"])
        assert leaf["name"] == name
    statement = bench.walk.policies.decision_point.policy_statement
    assert later.leaf["policy_set"] == hashlib.sha256(statement).hexdigest()


async def test_what_was_handed_on_is_asked_again_where_its_tokens_are_shown():
    bench = await ready()
    await bench.act()
    (entry,), statements = decisions(bench)
    assert entry.fields is not None
    question = in_version_1(entry.fields["question"])
    question["context"]["chain"]["depth"] = 1
    fields = {**entry.fields, "question": json.dumps(question, separators=(",", ":")).encode()}
    leaf = {**entry.leaf, "hops": [{"agent": "scout", "id": "h-1"}]}
    handed = structs.replace(entry, leaf=leaf, fields=fields)
    policies, mandate = statements.policy_set(leaf), statements.mandate(leaf)

    def asked(hops: tuple[Authority, ...] | None) -> Replayed:
        return replay(handed, policies=policies, mandate=mandate, hops=hops)

    assert (asked(None).verdict, asked(None).unchecked) == ("same", ("hops",))
    assert statements.hops(leaf) is None, "its token is not shown"
    wide, narrow = Authority(scopes=("crm.read",)), Authority(scopes=("crm.refund",))
    assert (asked((wide,)).verdict, asked((wide,)).unchecked) == ("same", ())
    found = asked((wide, narrow))
    assert (found.verdict, "does not include `crm.read`" in found.text) == ("differs", True)
    token = root(wide, jti="h-1")
    cited = {"kind": "hop", "hop": "h-1", "agent": "scout", "mandate": "m-1", "name": "0"}
    statements.take(Tag.CITED, cited, {"token": json.dumps(token).encode()})
    shown = statements.hops(leaf)
    assert shown is not None
    assert shown[0].names("crm.read")
    assert statements.hops({**leaf, "mandate": "m-2"}) is None


@pytest.mark.requirement("ANSWER-01", "HOLD-18")
async def test_a_mandate_that_a_crash_kept_out_of_force_and_that_was_issued_again_is_asked_by_its_last_terms():
    bench = await Bench().registered()
    add = bench.authority.mandates.add

    def crash(*_: object, **__: object) -> None:
        raise Unavailable("the process ends here", code="register.unavailable", port="register")

    bench.authority.mandates.add = crash
    with pytest.raises(Unavailable):
        await bench.issue("m-1", calls_max=20)
    bench.authority.mandates.add = add
    await bench.issue("m-1", calls_max=1)
    await bench.act()
    with pytest.raises(Refused) as raised:
        await bench.act()
    assert raised.value.code == "mandate.budget_spent"
    assert len(bench.entries(Tag.MANDATE_ISSUED)) == 2
    assert [one.verdict for one in replayed(bench)] == ["same", "same"]
