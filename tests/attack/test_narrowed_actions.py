"""An agent that asks for more than policy lets it, and what is done instead: less, or nothing, never something else."""

from __future__ import annotations

import json

import pytest

from answerable.core.ledger.tags import Tag
from answerable.core.mandate.caveat import ArgumentAtMost, ResourceIn
from answerable.core.mandate.mandate import Grant
from answerable.errors import Refused
from answerable.errors.codes.ledger import LEDGER_BUSY
from answerable.testing.builders import with_spending
from tests.worlds.obligation import NARROW, PERMIT, bench_with, obliging, story
from tests.worlds.walk import fields_of

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("OBL-05")
async def test_the_narrowed_action_is_what_is_performed_recorded_and_said():
    bench = await bench_with(NARROW)
    answer = await bench.refund(9000)
    assert [effect.arguments for effect in bench.upstream.effects] == [{"case": "4711", "amount": 5000}]
    assert json.loads(answer.narrowed) == {"amount": 5000}
    (leaf,) = bench.entries(Tag.INTENT)
    assert leaf["narrowed"] == ["modify"]
    assert "lifted" not in leaf["decision"]
    (fields,) = fields_of(bench, Tag.INTENT)
    assert fields["action"]["arguments"]["amount"] == 5000
    assert fields["asked"]["arguments"]["amount"] == 9000
    assert fields["asked_decision"] == {
        "by": ["all"], "effect": "allow", "lifted": ["narrow"], "obligations": ["modify:amount<=5000"],
    }  # fmt: skip
    assert fields["digest"] == bench.upstream.effects[0].digest
    assert bench.upstream.violations == []
    told = story(bench, answer.action_id)
    assert "asked for was amount=9000, case=4711" in told
    assert "narrowed by narrow" in told
    assert "on the condition of modify:amount<=5000" in told


@pytest.mark.requirement("OBL-05")
async def test_an_action_that_is_narrow_enough_stays_as_it_is():
    bench = await bench_with(NARROW)
    answer = await bench.refund(5000)
    assert answer.narrowed == b""
    (leaf,) = bench.entries(Tag.INTENT)
    assert "narrowed" not in leaf
    assert "asked" not in fields_of(bench, Tag.INTENT)[0]


@pytest.mark.requirement("OBL-04")
@pytest.mark.parametrize("amount", [-1_000_000, 0, 4999])
async def test_an_argument_below_the_bound_is_never_raised_to_it(amount):
    bench = await bench_with(obliging("modify:amount<=5000", when="context.arguments has amount"))
    await bench.refund(amount)
    assert [effect.arguments["amount"] for effect in bench.upstream.effects] == [amount]


@pytest.mark.requirement("OBL-05")
async def test_a_second_narrowing_is_a_deny():
    again = obliging("modify:amount<=100", when="context.arguments.amount == 5000", name="again")
    bench = await bench_with(NARROW, again)
    with pytest.raises(Refused) as no:
        await bench.refund(9000)
    assert no.value.code == "obligation.second_narrowing"
    assert bench.upstream.effects == []
    assert len(bench.entries(Tag.REFUSAL)) == 1
    await bench.refund(5000)
    assert [effect.arguments["amount"] for effect in bench.upstream.effects] == [100]


@pytest.mark.requirement("OBL-05")
async def test_the_narrowed_action_is_denied_where_policy_denies_it_and_the_refusal_names_both():
    final = '@id("round") @reason("nothing round") forbid(principal, action, resource) when {\n'
    final += "context.arguments has amount && context.arguments.amount == 5000 };\n"
    bench = await bench_with(NARROW, final.replace("action,", 'action == Action::"crm.refund",'))
    with pytest.raises(Refused, match="nothing round"):
        await bench.refund(9000)
    (fields,) = fields_of(bench, Tag.REFUSAL)
    assert fields["action"]["arguments"]["amount"] == 5000
    assert len(fields["asked_digest"]) == 64
    assert bench.upstream.effects == []


@pytest.mark.requirement("OBL-04")
async def test_what_cannot_be_narrowed_is_a_deny_before_anything_is_done():
    bench = await bench_with(
        obliging("modify:amount in [100,200]", when="context.arguments.amount != 100", name="few")
    )
    with pytest.raises(Refused) as no:
        await bench.refund(300)
    assert no.value.code == "obligation.unfulfillable"
    assert "300" not in no.value.message
    assert bench.upstream.effects == []
    await bench.refund(200)


@pytest.mark.requirement("OBL-12")
async def test_where_the_mandate_says_no_nothing_is_narrowed_and_nobody_is_asked():
    ask = obliging(
        "modify:amount<=5000", when="context.arguments.amount > 5000", more='@approve("approvers:1")'
    )
    at_most = Grant(capability="crm.refund", caveats=(ArgumentAtMost(name="amount", maximum=6000),))
    for grant in (at_most, Grant(capability="crm.refund", caveats=(ResourceIn(ids=("4712",)),))):
        bench = await bench_with(ask, grants=(grant,))
        with pytest.raises(Refused) as no:
            await bench.refund(9000)
        assert no.value.code.startswith("mandate.")
        assert bench.channel.announced == []
        assert bench.entries(Tag.APPROVAL_ASKED) == []


@pytest.mark.requirement("OBL-12")
async def test_where_the_budget_lacks_even_the_narrowed_amount_nobody_is_asked():
    ask = obliging(
        "modify:amount<=5000", when="context.arguments.amount > 5000", more='@approve("approvers:1")'
    )
    bench = await bench_with(ask, documents=with_spending, budgets=(("money:EUR", 4000),))
    with pytest.raises(Refused) as no:
        await bench.refund(9000)
    assert no.value.code == "mandate.budget_spent"
    assert bench.channel.announced == []
    bench = await bench_with(NARROW, documents=with_spending, budgets=(("money:EUR", 5000),))
    await bench.refund(9000)
    assert bench.entries(Tag.INTENT)[0]["reserved"]["money:EUR"] == 5000


@pytest.mark.requirement("OBL-03")
@pytest.mark.requirement("OBL-05")
async def test_people_approve_the_narrowed_action_and_nothing_wider_runs():
    both = obliging(
        "modify:amount<=5000", when="context.arguments.amount > 5000", more='@approve("approvers:1")'
    )
    bench = await bench_with(both)
    waiting = (await bench.refund(9000)).approval
    assert waiting is not None
    assert json.loads(waiting.action.bytes)["arguments"]["amount"] == 5000
    (leaf,) = bench.entries(Tag.APPROVAL_ASKED)
    assert leaf["narrowed"] == ["modify"]
    (fields,) = fields_of(bench, Tag.APPROVAL_ASKED)
    assert fields["asked"]["arguments"]["amount"] == 9000
    assert (await bench.refund(9000)).approval == waiting
    await bench.answer(waiting)
    answer = await bench.refund(9000)
    assert answer.outcome is not None
    assert [effect.arguments["amount"] for effect in bench.upstream.effects] == [5000]
    # The approval is used up: the next one is a question again.
    assert (await bench.refund(9000)).approval is not None


@pytest.mark.requirement("OBL-05")
async def test_what_is_narrowed_is_narrowed_by_the_policies_of_that_moment():
    bench = await bench_with(NARROW)
    append = bench.recorder.ledger.submit
    published: list[bool] = []

    def submit(entry):
        if entry.tag == Tag.CITED and not published:
            raise LEDGER_BUSY()
        return append(entry)

    async def room(_):
        # While the statements wait for room, policy changes: nothing may be narrowed by what it was.
        published.append(True)
        bench.walk.policies.decision_point = bench.walk.policies.compile_policies(
            PERMIT + NARROW.replace("5000", "40"), bench.authority.registry.current
        )

    bench.recorder.ledger.room = room
    bench.recorder.ledger.submit = submit
    await bench.refund(9000)
    assert [effect.arguments["amount"] for effect in bench.upstream.effects] == [40]


@pytest.mark.requirement("REPLY-02")
async def test_who_asks_for_more_that_comes_down_to_what_was_denied_gets_the_no_of_before():
    bench = await bench_with(
        obliging(
            "modify:amount<=5000", when="context.arguments.amount > 5000", more='@approve("approvers:1")'
        )
    )
    waiting = (await bench.refund(9000)).approval
    assert waiting is not None
    await bench.answer(waiting, verdict="deny", reason="not_needed")
    for amount in (9000, 9001, 20_000):
        with pytest.raises(Refused) as no:
            await bench.refund(amount)
        assert no.value.code == "approval.denied"
    assert len(bench.entries(Tag.APPROVAL_ASKED)) == 1
