"""People were asked, and by now policy denies it whatever they say: the call says so, and nobody is asked any more."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.policy.explain_what_if import possible
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.walk.moment import moment_now
from answerable.ports.search_process import REPLAY, ReplayQuestion
from answerable.testing.builders import POLICIES, Bench, bench_documents
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.parts import to_apply, to_decide

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SAME-26")]
ASKS = '@id("refund-large") @reason("refunds above 5000 wait for an approver") @approve("approvers:1")'
NOTHING = f'{ASKS} forbid (principal, action == Action::"crm.refund", resource);'
NEVER = POLICIES + '@id("none") @reason("nobody refunds now") forbid (principal, action, resource);'


async def published(bench: Bench, policies: str) -> None:
    sets = [one for one in bench_documents(policies) if isinstance(one, dict) and one["kind"] == "PolicySet"]
    await apply_registry(*to_apply(bench.walk), sets, by="operator")


async def refused(bench: Bench) -> Refused:
    with pytest.raises(Refused) as told:
        await bench.refund(10_000)
    return told.value


@pytest.mark.parametrize(("policies", "code"), [(NOTHING, "policy.default_deny"), (NEVER, "none")])
async def test_a_question_that_policy_denies_by_now_is_denied_and_void_with_why(policies: str, code: str):
    bench = await Bench().registered()
    await bench.issue()
    asked = (await bench.refund(10_000)).approval
    assert asked is not None
    await published(bench, policies)
    no = await refused(bench)
    assert no.code == code
    assert "wait for an approver" not in no.message
    (told,) = possible(await moment_now(*to_decide(bench.walk), "crm.refund"), agents=("scout",), resource="")
    assert (told.effect, told.by[0]) == ("deny", code)
    found = bench.authority.approvals.find(asked.id)
    assert found is not None
    assert (found.state, found.void_because) == ("void", ("what policy says",))
    [leaf] = bench.entries(Tag.APPROVAL_VOID)
    assert leaf["approval"] == asked.id
    with pytest.raises(Refused) as late:
        await bench.answer(asked)
    assert late.value.code == "approval.not_pending"
    again = ReplayQuestion(start=0, stop=None, limit=bench.recorder.ledger.size)
    assert set((await IndexAtHand(bench.recorder).ask(REPLAY, again)).counts) == {"same"}
    # Once policy asks again, people are asked again.
    await published(bench, POLICIES)
    anew = (await bench.refund(10_000)).approval
    assert anew is not None
    assert anew.id != asked.id


async def test_what_people_have_approved_stays_approved_while_policy_denies_it():
    bench = await Bench().registered()
    await bench.issue()
    asked = (await bench.refund(10_000)).approval
    assert asked is not None
    await bench.answer(asked)
    await published(bench, NEVER)
    assert (await refused(bench)).code == "none"
    found = bench.authority.approvals.find(asked.id)
    assert found is not None
    assert found.state == "approved"


async def test_a_question_that_cannot_be_made_void_takes_no_refusal_off_the_record(
    monkeypatch: pytest.MonkeyPatch,
):
    bench = await Bench().registered()
    await bench.issue()
    assert (await bench.refund(10_000)).approval is not None
    await published(bench, NEVER)

    def full(*_: object, **__: object) -> bool:
        raise Unavailable("the disk is full", code="register.unavailable", port="register")

    monkeypatch.setattr(bench.authority.approvals, "replace", full)
    with pytest.raises(Unavailable):
        await bench.refund(10_000)
    [leaf] = bench.entries(Tag.REFUSAL)
    assert leaf["code"] == "none"
    assert not bench.upstream.effects
