"""Whose key seals what, and pseudonyms across entries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from answerable.core.action.request import action_request
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.subject import LOG_SUBJECT
from answerable.core.ledger.subject_key import key_id_of, sections_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant, MandateId
from answerable.errors import Refused
from answerable.flows.recording.record_entry import pseudonym_of
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.samples import OWNERSHIP, document
from tests.worlds.parts import to_apply, to_govern
from tests.worlds.walk import SUBJECTS, about_customers, customers_bench, fields_of, stored_of, subject_of

if TYPE_CHECKING:
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SEAL-04")]

M1 = MandateId("m-1")


async def test_what_the_capability_names_is_the_subject_of_question_intent_and_outcome():
    bench = await customers_bench()
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    await bench.answer(asked)
    await bench.refund(6000)
    for tag in (Tag.APPROVAL_ASKED, Tag.INTENT, Tag.OUTCOME):
        (stored,) = stored_of(bench, tag)
        assert subject_of(bench, stored) == "Customer:4711"
    (answer,) = stored_of(bench, Tag.APPROVAL_ANSWER)
    assert subject_of(bench, answer) == "principal:bob", "the comment is of the person who answered"


async def test_where_the_capability_says_nothing_the_principal_is_the_subject_and_for_refusals_always():
    bench = await customers_bench()
    await bench.act()
    with pytest.raises(Refused):
        await bench.refund(2_000_000)
    for tag in (Tag.INTENT, Tag.OUTCOME, Tag.REFUSAL, Tag.MANDATE_ISSUED):
        (stored,) = stored_of(bench, tag)
        assert subject_of(bench, stored) == "principal:alice"
    (change,) = stored_of(bench, Tag.REGISTRY_CHANGE)
    assert subject_of(bench, change, LOG_SUBJECT) == LOG_SUBJECT


async def test_an_agent_without_a_mandate_of_its_own_is_itself_the_subject():
    bench = await customers_bench()
    await bench.issue("m-2", agent="rover")
    for mandate in ("", "unknown", "m-2"):
        with pytest.raises(Refused):
            await bench.act(mandate=mandate)
    for stored in stored_of(bench, Tag.REFUSAL):
        assert subject_of(bench, stored) == "agent:scout"


@pytest.mark.parametrize(
    ("case", "subject"),
    [("4711", "Customer:4711"), ("4712", "Customer:4712"), ("sha256:" + "0" * 64, None), ("é" * 300, None)],
    ids=["one", "another", "like a digest", "very long"],
)
async def test_each_id_has_its_own_key_however_long_it_is(case: str, subject: str | None):
    bench = await customers_bench()
    await bench.act("refund", {"case": case, "amount": 1})
    (stored,) = stored_of(bench, Tag.INTENT)
    if subject is not None:
        assert subject_of(bench, stored) == subject
    assert bench.recorder.subject_keys.of(f"Customer:{case}").id == stored.attachment[1:17] or subject is None
    await bench.act("refund", {"case": "4713", "amount": 1})
    first, second = stored_of(bench, Tag.INTENT)
    assert first.attachment[1:17] != second.attachment[1:17]
    assert bench.opened(second.index)[1]["action"] != bench.opened(first.index)[1]["action"]


async def test_a_number_and_the_same_number_as_text_are_one_subject_and_what_names_nobody_is_the_principals():
    bench = await customers_bench(about_customers(argument="amount"))
    await bench.refund(250)
    (stored,) = stored_of(bench, Tag.INTENT)
    assert subject_of(bench, stored, "Customer:250") == "Customer:250"
    bench = await customers_bench(about_customers(argument="memo"))
    await bench.refund(250)
    (stored,) = stored_of(bench, Tag.INTENT)
    assert subject_of(bench, stored) == "principal:alice"


async def test_an_argument_without_a_name_names_nobody():
    bench = await customers_bench(bench_documents())
    action, caller = bench.request("get_case", {"case": "4711", "": "somebody else"})

    class Open:
        """An upstream that takes any argument."""

        perform = bench.upstream.perform
        generation = 0
        is_running = True
        tools = bench.upstream.tools
        is_unread = bench.upstream.is_unread

        def definition(self, capability: Capability) -> ToolDefinition | None:
            found = bench.upstream.definition(capability)
            return None if found is None else replace(found, violations=lambda _: ())

    bench.walk.verification.upstream = Open()
    await govern_action(*to_govern(bench.walk), action, caller)
    (stored,) = stored_of(bench, Tag.INTENT)
    assert subject_of(bench, stored) == "principal:alice"


async def test_the_subject_of_a_resource_is_taken_from_its_uri():
    template: dict[str, JSONValue] = {
        "server": "crm",
        "environment": "production",
        "sensitivity": "confidential",
        "method": "resources/read",
        "target": "crm://cases/{case}",
        "kind": "read",
        "tier": 0,
        "resource": {"type": "Case", "argument": "case"},
        "subject": {"type": "Customer", "argument": "case"},
        "ownership": {**OWNERSHIP},
    }
    policies = '@id("all") permit (principal, action, resource);'
    bench = await Bench().registered(
        [*bench_documents(policies), document("Capability", "crm.case", template)]
    )
    await bench.issue("m-2", grants=(Grant(capability="crm.case"),))
    _, caller = bench.request("get_case", {})
    action = action_request(
        server="crm",
        method="resources/read",
        target="crm://cases/4712",
        arguments={},
        mandate_id="m-2",
        message_digest=caller.message_digest,
    )
    await govern_action(*to_govern(bench.walk), action, caller)
    (stored,) = stored_of(bench, Tag.INTENT)
    assert subject_of(bench, stored) == "Customer:4712"


@pytest.mark.requirement("SEAL-03")
async def test_question_answer_and_intent_of_one_action_have_one_pseudonym_which_only_the_key_can_make():
    bench = await customers_bench()
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    await bench.answer(asked)
    await bench.refund(6000)
    leaves = [bench.entries(tag)[0] for tag in (Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.INTENT)]
    (pseudonym,) = {str(leaf["digest"]) for leaf in leaves}
    key = bench.recorder.subject_keys.of("Customer:4711")
    assert pseudonym == key.pseudonym(b"action", asked.action.digest)
    assert pseudonym != asked.action.hex


@pytest.mark.requirement("SEAL-03")
async def test_the_same_action_under_another_subject_cannot_be_linked():
    bench = await customers_bench(bench_documents())
    await bench.refund(100)
    await bench.registered(about_customers())
    await bench.refund(100)
    await bench.issue("m-2", principal="bob")
    await bench.registered(bench_documents())
    await bench.refund(100, mandate="m-2")
    assert len({fields["digest"] for fields in fields_of(bench, Tag.INTENT)}) == 1
    assert len({leaf["digest"] for leaf in bench.entries(Tag.INTENT)}) == 3


@pytest.mark.requirement("SEAL-03")
async def test_a_person_has_one_pseudonym_in_every_role_and_two_people_have_two():
    bench = await customers_bench()
    await bench.issue("m-2", principal="bob")
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    await bench.answer(asked)
    await bench.refund(6000)
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="bob")
    await apply_registry(*to_apply(bench.walk), [document("Principal", "eve", {})], by="bob")
    issued = bench.entries(Tag.MANDATE_ISSUED)
    alice, bob = issued[0]["principal"], issued[1]["principal"]
    assert alice != bob
    for tag in (Tag.INTENT, Tag.APPROVAL_ASKED):
        assert bench.entries(tag)[0]["principal"] == alice
    assert [e["principal"] for e in bench.entries(Tag.CITED) if e["kind"] == "mandate"] == [alice]
    assert bench.entries(Tag.APPROVAL_ANSWER)[0]["person"] == bob
    assert bench.entries(Tag.MANDATE_CLOSED)[0]["by"] == bob
    assert bench.entries(Tag.REGISTRY_CHANGE)[-1]["by"] == bob
    assert bob == bench.recorder.subject_keys.of("principal:bob").pseudonym(b"principal", b"bob")


@pytest.mark.requirement("SEAL-03")
async def test_pseudonyms_are_kept_in_mind_up_to_a_bound_and_stay_the_same(monkeypatch):
    monkeypatch.setattr("answerable.flows.recording.record_entry.PSEUDONYMS_MAX", 3)
    bench = Bench()
    names = [f"person-{number}" for number in range(7)]
    first = [pseudonym_of(bench.recorder, name) for name in names]
    assert len(bench.recorder.pseudonyms) <= 3
    assert [pseudonym_of(bench.recorder, name) for name in names] == first
    assert len(set(first)) == len(names)


@pytest.mark.requirement("WALK-04", "SEAL-03")
@pytest.mark.parametrize("answered", [False, True])
async def test_when_an_action_is_about_somebody_else_by_now_people_are_asked_anew(answered: bool):
    bench = await customers_bench(bench_documents())
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    if answered:
        await bench.answer(asked)
    await bench.registered(about_customers())
    again = (await bench.refund(6000)).approval
    assert again is not None
    assert again.id != asked.id
    assert (await bench.refund(6000)).approval == again
    await bench.answer(again)
    assert (await bench.refund(6000)).outcome is not None
    (intent,) = bench.entries(Tag.INTENT)
    question = next(e for e in bench.entries(Tag.APPROVAL_ASKED) if e["approval"] == intent["approval"])
    assert question["digest"] == intent["digest"]


@pytest.mark.requirement("WALK-04")
async def test_an_approval_of_the_form_before_subjects_still_counts():
    bench = await customers_bench(bench_documents())
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    old = type(asked)(**{name: getattr(asked, name) for name in asked.__slots__ if name != "subject"})
    assert old.subject == ""
    bench.authority.approvals.replace(old, was=asked)
    await bench.answer(old)
    assert (await bench.refund(6000)).outcome is not None


@pytest.mark.requirement("SEAL-02")
async def test_no_subjects_key_opens_what_is_anothers():
    bench = await customers_bench()
    await bench.refund(100)
    await bench.act("refund", {"case": "4712", "amount": 100})
    keys = bench.recorder.subject_keys
    for stored in bench.recorder.ledger.replay():
        if not stored.attachment:
            continue
        ids = [key_id_of(one) for one in sections_of(stored.attachment)]
        owners = {name for name in (*SUBJECTS, LOG_SUBJECT, "principal:operator") if keys.of(name).id in ids}
        assert owners
        for name in SUBJECTS:
            other = keys.of(name)
            found = disclosures_of(stored, {other.id: other}.get)
            assert (found is not None) == (name in owners)
