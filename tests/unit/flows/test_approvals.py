"""Deferred actions: asked once, answered by the right people, run once, and nothing but what was approved."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteMandateRegister,
    SqliteRegistryStore,
    SqliteStore,
)
from answerable.core.approval.typed_name import name_to_type
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.answer import Answer
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, Unavailable, Unverified
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.walk_limits import WalkLimits
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import POLICIES, Bench, bench_documents, nonce_for
from answerable.testing.fault_injection import Trouble, TroubledApprovals, TroubledLedger
from answerable.testing.samples import AUDIENCE, signing_key
from answerable.testing.trouble_outside import TroubledChannel
from tests.worlds.parts import to_apply
from tests.worlds.walk import fields_of

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.testing.fault_injection import Fault

pytestmark = pytest.mark.anyio


async def ready(limits: WalkLimits | None = None) -> Bench:
    bench = await Bench(limits=limits).registered()
    await bench.issue()
    return bench


async def waiting(bench: Bench, amount: int = 6000) -> Approval:
    found = (await bench.refund(amount)).approval
    assert found is not None
    return found


@pytest.mark.requirement("WALK-04", "WALK-11")
async def test_what_was_approved_runs_once():
    bench = await ready()
    asked = await waiting(bench)
    assert (await bench.refund(6000)).approval == asked, "asking again finds the same one"
    assert not bench.upstream.effects
    assert (await bench.answer(asked)).state == "approved"
    assert (await bench.refund(6000)).outcome is not None
    (intent,), (fields,) = bench.entries(Tag.INTENT), fields_of(bench, Tag.INTENT)
    assert intent["approval"] == asked.id
    assert fields["digest"] == asked.action.hex
    assert isinstance(intent["decision"], dict)
    assert intent["decision"]["lifted"] == ["refund-large"]
    again = await waiting(bench)
    assert again.id != asked.id, "a used approval is used; people are asked anew"
    assert len(bench.upstream.effects) == 1


@pytest.mark.requirement("WALK-04")
async def test_of_twenty_racing_callers_one_runs_and_the_others_share_one_new_question():
    bench = await ready()
    await bench.answer(await waiting(bench))
    answers = await asyncio.gather(*(bench.refund(6000) for _ in range(20)))
    ran = [answer for answer in answers if answer.outcome is not None]
    asked = {answer.approval.id for answer in answers if answer.approval is not None}
    assert (len(ran), len(asked)) == (1, 1)
    assert len(bench.upstream.effects) == len(bench.entries(Tag.INTENT)) == 1
    assert len(bench.entries(Tag.APPROVAL_ASKED)) == 2, "one that ran, one for the nineteen"


@pytest.mark.requirement("WALK-04")
async def test_another_amount_needs_another_approval():
    bench = await ready()
    await bench.answer(await waiting(bench, 6000))
    assert (await bench.refund(6001)).approval is not None
    assert not bench.upstream.effects


@pytest.mark.requirement("WALK-04")
async def test_an_approval_is_of_one_agent_and_one_mandate():
    bench = await ready()
    await bench.issue("m-2")
    await bench.issue("m-3", agent="rover")
    await bench.answer(await waiting(bench))
    assert (await bench.refund(6000, mandate="m-2")).approval is not None
    assert (await bench.refund(6000, mandate="m-3", agent="rover")).approval is not None
    with pytest.raises(Refused):
        await bench.refund(6000, mandate="m-1", agent="rover")
    assert not bench.upstream.effects
    assert (await bench.refund(6000)).outcome is not None


@pytest.mark.requirement("WALK-11")
async def test_two_approvers_are_two_people():
    bench = await ready()
    asked = await waiting(bench, 60_000)
    assert (await bench.answer(asked, by="bob")).state == "pending"
    assert (await bench.refund(60_000)).approval is not None
    after = bench.authority.approvals.find(asked.id)
    assert after is not None
    with pytest.raises(Refused) as told:
        await bench.answer(after, by="bob")
    assert told.value.code == "approval.answered_already"
    assert (await bench.answer(after, by="carol")).state == "approved"
    assert (await bench.refund(60_000)).outcome is not None


@pytest.mark.requirement("WALK-11")
@pytest.mark.parametrize(("by", "code"), [("alice", "approval.own_mandate"), ("dan", "approval.not_asked")])
async def test_neither_who_gave_the_task_nor_who_was_not_asked_approves(by: str, code: str):
    bench = await ready()
    asked = await waiting(bench)
    size = bench.recorder.ledger.size
    with pytest.raises(Refused) as told:
        await bench.answer(asked, by=by)
    assert told.value.code == code
    assert bench.recorder.ledger.size == size
    assert (await bench.refund(6000)).approval is not None


@pytest.mark.requirement("WALK-11")
async def test_one_deny_ends_it():
    bench = await ready()
    asked = await waiting(bench, 60_000)
    await bench.answer(asked, by="bob")
    assert (await bench.answer(asked, by="carol", verdict="deny", comment="no")).state == "denied"
    with pytest.raises(Refused) as told:
        await bench.answer(asked, by="carol")
    assert told.value.code == "approval.not_pending"
    with pytest.raises(Refused, match="denied by people") as no:
        await bench.refund(60_000)
    assert no.value.code == "approval.denied"
    assert no.value.reasons[0] == "denied by people: another reason"
    assert no.value.reasons[-1] == "no"
    bench.clock.advance(WalkLimits().approval_ttl_ms / 1000)
    again = (await bench.refund(60_000)).approval
    assert again is not None, "a no holds as long as the question would have stood"
    assert again.id != asked.id
    assert not bench.upstream.effects


@pytest.mark.requirement("WALK-11")
@pytest.mark.parametrize("answered", [False, True])
async def test_expiry_is_a_deny_whether_it_was_answered_or_not(answered: bool):
    bench = await ready()
    asked = await waiting(bench)
    if answered:
        await bench.answer(asked)
    bench.clock.advance(901)
    again = await waiting(bench)
    assert again.id != asked.id
    with pytest.raises(Refused) as told:
        await bench.answer(asked)
    assert told.value.code == "approval.not_pending"
    assert not bench.upstream.effects


@pytest.mark.requirement("WALK-11")
async def test_an_approval_never_outlives_its_mandate():
    bench = await Bench().registered()
    mandate = await bench.issue(seconds=60)
    assert (await waiting(bench)).expires_at == mandate.expires_at


@pytest.mark.requirement("WALK-11")
async def test_answers_that_do_not_check_change_nothing():
    bench = await ready()
    asked = await waiting(bench)
    other = await waiting(bench, 7000)
    now = bench.clock.now()

    def token(approval: Approval, **other: Any) -> str:
        said = {"by": PrincipalId("bob"), "verdict": "approve", "audience": AUDIENCE, "at": now}
        nonce = other.pop("nonce", None) or nonce_for(
            bench.asking.openings, bench.clock, bench.walk.entropy, approval
        )
        key = signing_key(other.pop("key", "bob"))
        return signed_answer(approval, nonce=nonce, key=key, **{**said, **other})

    tokens = {
        "approval.key": token(asked, key="carol"),
        "approval.other": token(other),
        "approval.audience": token(asked, audience="elsewhere.test"),
        "approval.stale": token(asked, at=type(now)(now - 600_000)),
        "approval.digest": token(replace(asked, shown=other.shown)),
        "approval.rendering": token(replace(asked, card=other.card)),
        "approval.nonce": token(asked, nonce=bytes(32)),
        "approval.signature": f"{token(asked)[:-4]}AAAA",
    }
    header, payload, signature = token(asked).split(".")
    rests = (f"!.{signature}", f"bm9uZQ.{signature}", f"{payload}.!")
    for code, one in [*tokens.items(), *(("approval.malformed", f"{header}.{one}") for one in rests)]:
        with pytest.raises((Malformed, Unverified)) as told:
            await answer_approval(
                bench.recorder, bench.authority, bench.asking, bench.counters, asked.id, one,
                typed=name_to_type(asked),
            )  # fmt: skip
        assert told.value.code == code
    with pytest.raises(Refused, match="there is no approval"):
        await answer_approval(bench.recorder, bench.authority, bench.asking, bench.counters, "nothing", "")
    assert not bench.entries(Tag.APPROVAL_ANSWER)


@pytest.mark.requirement("WALK-11")
async def test_a_person_who_was_removed_cannot_answer_any_more():
    bench = await ready()
    asked = await waiting(bench)
    left = [d for d in bench_documents() if not (isinstance(d, dict) and d["metadata"] == {"name": "carol"})]
    await apply_registry(*to_apply(bench.walk), left, by="operator", prune=True)
    with pytest.raises(Unverified) as told:
        await bench.answer(asked, by="carol")
    assert told.value.code == "approval.key"


@pytest.mark.requirement("WALK-11")
async def test_of_two_who_answer_at_once_the_second_is_told_to_look_again_and_leaves_no_record():
    bench = await ready()
    asked = await waiting(bench)
    first, second = await asyncio.gather(
        bench.answer(asked, by="bob"),
        bench.answer(asked, by="carol", verdict="deny"),
        return_exceptions=True,
    )
    assert not isinstance(first, BaseException)
    assert isinstance(second, Refused)
    assert second.code == "approval.changed_meanwhile"
    assert [entry["state"] for entry in bench.entries(Tag.APPROVAL_ANSWER)] == ["approved"]


async def test_an_answer_on_top_of_what_another_process_changed_does_not_count():
    bench = await ready()
    asked = await waiting(bench)
    register = bench.authority.approvals

    class Elsewhere(TroubledApprovals):
        def replace(self, approval: Approval, *, was: Approval) -> bool:
            register.replace(replace(was, state="denied"), was=was)
            return super().replace(approval, was=was)

    bench.authority.approvals = Elsewhere(register, Trouble(lambda _n, _m: None))
    with pytest.raises(Refused) as told:
        await bench.answer(asked)
    assert told.value.code == "approval.changed_meanwhile"
    assert (await bench.refund(6000)).outcome is None


@pytest.mark.requirement("WALK-11")
async def test_too_many_waiting_is_refused_and_recorded_even_when_all_ask_at_once():
    bench = await ready(WalkLimits(approvals_pending_per_agent_max=4))
    await bench.issue("m-2", agent="rover")
    answers = await asyncio.gather(*(bench.refund(6000 + i) for i in range(30)), return_exceptions=True)
    assert sum(isinstance(answer, Answer) for answer in answers) == 4
    assert {answer.code for answer in answers if isinstance(answer, Refused)} == {"approval.too_many"}
    assert len(bench.entries(Tag.APPROVAL_ASKED)) == 4
    assert len(bench.entries(Tag.REFUSAL)) == 26
    assert (await bench.refund(6000, mandate="m-2", agent="rover")).approval is not None


@pytest.mark.requirement("WALK-11")
async def test_twenty_who_ask_the_same_at_once_ask_once():
    bench = await ready()
    answers = await asyncio.gather(*(bench.refund(6000) for _ in range(20)))
    assert len({answer.approval.id for answer in answers if answer.approval is not None}) == 1
    assert len(bench.entries(Tag.APPROVAL_ASKED)) == 1
    assert not bench.asking.under_way.asking


@pytest.mark.requirement("WALK-11")
async def test_when_the_first_who_asks_fails_the_next_asks():
    bench = await ready()
    struck = iter(["full"])
    bench.recorder.ledger = TroubledLedger(
        bench.recorder.ledger,
        Trouble(lambda _n, method: next(struck, None) if "submit" in method else None),
    )
    answers = await asyncio.gather(*(bench.refund(6000) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers].count(Unavailable) == 1
    assert (
        len({answer.approval.id for answer in answers if isinstance(answer, Answer) and answer.approval}) == 1
    )


@pytest.mark.requirement("WALK-04", "WALK-14")
@pytest.mark.parametrize("answered", [False, True])
async def test_when_policy_asks_for_more_people_by_now_they_are_asked(answered: bool):
    bench = await ready()
    asked = await waiting(bench)
    if answered:
        await bench.answer(asked)
    await bench.registered(bench_documents(POLICIES.replace("approvers:1", "approvers:2")))
    again = await waiting(bench)
    assert again.id != asked.id
    assert again.requirements[0].count == 2
    assert (await bench.refund(6000)).approval == again
    await bench.answer(again, by="bob")
    await bench.answer(again, by="carol")
    assert (await bench.refund(6000)).outcome is not None


@pytest.mark.requirement("WALK-04")
async def test_what_was_approved_is_decided_again_and_a_new_forbid_holds():
    bench = await ready()
    await bench.answer(await waiting(bench))
    stop = '@id("stop") @reason("refunds are stopped") forbid (principal, action == Action::"crm.refund", resource);'
    await bench.registered(bench_documents(POLICIES + stop))
    with pytest.raises(Refused, match="refunds are stopped"):
        await bench.refund(6000)
    assert not bench.upstream.effects


@pytest.mark.requirement("WALK-06")
async def test_a_channel_that_mutates_what_it_is_shown_or_fails_changes_nothing():
    bench = await ready()
    frozen: list[bytes] = []

    class Hostile:
        def announce(self, approval: Approval) -> None:
            action = approval.action.thaw()
            assert isinstance(action, dict)
            assert isinstance(action["arguments"], dict)
            action["arguments"]["amount"] = 1
            frozen.append(approval.action.bytes)

    bench.asking.channel = Hostile()
    asked = await waiting(bench)
    assert asked.action.bytes == frozen[0]
    await bench.answer(asked)
    await bench.refund(6000)
    assert [effect.arguments for effect in bench.upstream.effects] == [{"case": "4711", "amount": 6000}]

    bench.asking.channel = TroubledChannel(bench.asking.channel, Trouble(lambda _n, _m: "undone"))
    with pytest.raises(Unavailable):
        await bench.refund(7000)
    assert (await bench.refund(7000)).approval is not None, "it waits all the same"


@pytest.mark.requirement("WALK-11")
async def test_approvals_and_answers_survive_a_restart(tmp_path: Path):
    store = SqliteStore.open(tmp_path / "registers.sqlite")
    bench = await Bench(
        registry=SqliteRegistryStore(store),
        mandates=SqliteMandateRegister(store),
        approvals=SqliteApprovalRegister(store),
    ).registered()
    await bench.issue()
    asked = await waiting(bench, 60_000)
    await bench.answer(asked, by="bob")
    store.close()

    for step in range(2):
        store = SqliteStore.open(tmp_path / "registers.sqlite")
        bench = Bench(
            clock=bench.clock, entropy=bench.walk.entropy, ledger=bench.recorder.ledger,
            registry=SqliteRegistryStore(store), mandates=SqliteMandateRegister(store),
            approvals=SqliteApprovalRegister(store), subject_keys=bench.recorder.subject_keys,
        )  # fmt: skip
        if step == 0:
            assert (await bench.refund(60_000)).approval is not None
            await bench.answer(asked, by="carol")
        else:
            assert (await bench.refund(60_000)).outcome is not None
            assert (await bench.refund(60_000)).approval is not None
        store.close()


@pytest.mark.requirement("WALK-11")
@pytest.mark.parametrize("fault", ["undone", "done"])
async def test_a_register_that_fails_to_keep_a_question_or_an_answer_never_lets_anything_run(fault: Fault):
    bench = await ready()
    register = bench.authority.approvals
    for method in ("approvals.add", "approvals.replace"):
        bench.authority.approvals = TroubledApprovals(
            register,
            Trouble(lambda _n, called, method=method: fault if called == method else None),  # type: ignore[misc]
        )
        if method == "approvals.add":
            with pytest.raises(Unavailable):
                await bench.refund(6000)
            bench.authority.approvals = register
            asked = await waiting(bench)
        else:
            with pytest.raises(Unavailable):
                await bench.answer(asked)
            bench.authority.approvals = register
            answer = await bench.refund(6000)
            # What was kept although it failed was signed and recorded, so it counts.
            assert (answer.outcome is not None) == (fault == "done")
