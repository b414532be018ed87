"""S-16: an agent with its operator's broad role replaced production without the second pair of eyes that people need.

Asked at the bench, with passkeys of software: whoever set the agent on its way, or owns it, cannot let it go on; two
others must, each over the same card, which says what it is; and what they signed runs once.
"""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.approval.typed_name import name_to_type
from answerable.core.canonical import parse
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.identity.people.passkey import assertion_in
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.approval.answer_approval import answer_by_passkey
from answerable.flows.escalation.approval_nonces import give_nonce
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.soft_passkey import SoftPasskey
from tests.attack.test_passkey_answers import answered
from tests.worlds.passkey import enrolled, passkey_bench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SIGN-10")]


async def replacing(owner: str = "carol") -> tuple[Bench, Any]:
    """An environment is to be replaced. owner: of the agent."""
    documents: list[Any] = bench_documents(POLICIES.replace("approvers:1", "approvers:2"))
    for one in documents:
        if one["kind"] == "Capability" and one["metadata"]["name"] == "crm.refund":
            one["spec"] |= {"kind": "delete", "title": "destroy and recreate an environment", "tier": 3}
        if one["kind"] == "Principal":
            one["spec"]["groups"] = ["approvers"]
        if one["kind"] == "Agent":
            one["spec"]["ownership"] = {**one["spec"]["ownership"], "owner": owner, "backupOwner": "bob"}
    bench = await passkey_bench()
    await bench.registered(documents)
    await bench.issue()
    approval = (await bench.refund(6_000)).approval
    assert approval is not None
    return bench, approval


async def test_neither_who_gave_the_task_nor_who_owns_the_agent_lets_it_go_on():
    bench, approval = await replacing()
    for person, code in (("alice", "approval.own_mandate"), ("carol", "approval.own_agent")):
        device = SoftPasskey(seed=person)
        await enrolled(bench, person, device)
        with pytest.raises(Refused) as told:
            await answered(bench, approval, device, person=person)
        assert told.value.code == code
    assert (await bench.refund(6_000)).outcome is None
    assert bench.entries(Tag.APPROVAL_ANSWER) == []


async def test_two_others_must_over_one_card_that_says_what_it_is_and_it_runs_once():
    bench, approval = await replacing()
    card: Any = parse(approval.card.bytes)
    assert card["sentence"].startswith('Destroy and recreate an environment: Case "4711"')
    assert {"production", "critical", "cannot be undone"} <= set(card["badges"])
    states = []
    for person in ("bob", "dan"):
        device = SoftPasskey(seed=person)
        await enrolled(bench, person, device)
        states.append((await answered(bench, approval, device, person=person)).state)
        if person == "bob":
            assert (await bench.refund(6_000)).outcome is None, "one pair of eyes is not two"
    assert states == ["pending", "approved"]
    assert (await bench.refund(6_000)).outcome is not None
    assert (await bench.refund(6_000)).outcome is None, "asked anew for the second time"
    assert len(bench.entries(Tag.INTENT)) == 1


async def test_one_person_with_two_passkeys_is_one_person():
    bench, approval = await replacing()
    phone, key = SoftPasskey(seed="phone"), SoftPasskey(seed="security key")
    for device in (phone, key):
        await enrolled(bench, "bob", device)
    assert (await answered(bench, approval, phone)).state == "pending"
    with pytest.raises(Refused) as told:
        await answered(bench, approval, key)
    assert told.value.code == "approval.answered_already"


async def test_one_signature_does_not_count_for_two_people():
    bench, approval = await replacing()
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    after = await answered(bench, approval, device)
    kept: Any = parse(after.answers[0].token.encode())
    nonce, _ = give_nonce(bench.asking.openings, bench.clock, bench.walk.entropy, approval.id)
    with pytest.raises(Exception, match="challenge"):
        await answer_by_passkey(
            bench.recorder,
            bench.authority,
            bench.asking,
            bench.counters,
            approval.id,
            person=PrincipalId("dan"),
            verdict="approve",
            comment="",
            nonce=nonce,
            typed=name_to_type(approval),
            assertion=assertion_in(kept["assertion"]),
        )
    assert (await bench.refund(6_000)).outcome is None
