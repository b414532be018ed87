"""Arguments that a capability names by a pointer are counted and narrowed where they lie, and not at the top."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.history import PERMIT, kept, restarted, seen, told_by_the_ledger
from tests.worlds.obligation import obliging
from tests.worlds.tool import described, describing

pytestmark = pytest.mark.anyio

NESTED = {
    "type": "object",
    "properties": {
        "case": {"type": "string"},
        "amount": {"type": "integer"},
        "note": {"type": "integer"},
        "pay": {
            "type": "object",
            "properties": {
                "case": {"type": "string"},
                "amount": {"type": "integer"},
                "parts": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
}
ARGUMENTS = [
    {"name": "case", "type": "string", "pointer": "/pay/case", "required": True},
    {"name": "amount", "type": "integer", "pointer": "/pay/amount"},
    {"name": "parts", "type": "string_set", "pointer": "/pay/parts/*"},
    {"name": "note", "type": "integer"},
]
SUM = {"name": "paid", "over": "agent", "within": "1h", "capabilities": ["crm.refund"], "sum": "amount"}
APPROVED = {
    "name": "approved", "over": "agent", "within": "1h", "capabilities": ["crm.refund"], "event": "approved",
    "sameResource": True,
}  # fmt: skip
ASKS = '@id("asks") @approve("approvers:1") forbid (principal, action == Action::"crm.refund", resource);\n'


SAME_NAME = [{"name": "pay", "type": "string", "pointer": "/pay/case", "required": True}]
"""A name that is that of the member which the pointer begins with."""


async def nested(
    *trackers: Any, policies: str, arguments: Any = ARGUMENTS, credentials: Any = None, **parts: Any
) -> Bench:
    documents: list[Any] = bench_documents(policies)
    for one in documents:
        if one["kind"] == "PolicySet":
            one["spec"]["trackers"] = [*trackers]
        if one["kind"] == "Capability" and one["metadata"]["name"] == "crm.refund":
            one["spec"]["arguments"] = arguments
            one["spec"]["resource"] = {"type": "Case", "argument": arguments[0]["name"]}
            if credentials is not None:
                one["spec"]["credentials"] = credentials
            one["spec"].pop("subject", None)
    bench = Bench(**parts)
    upstream = describing(bench, refund=described(inputSchema=NESTED))
    upstream.takes_anything = True
    await bench.registered(documents)
    await bench.issue(calls_max=1_000)
    return bench


def paying(cents: int, **decoys: Any) -> dict[str, Any]:
    return {"pay": {"case": "4711", "amount": cents}, **decoys}


@pytest.mark.requirement("HIST-06")
@pytest.mark.parametrize("decoys", [{}, {"amount": 1}, {"amount": -5}])
async def test_a_sum_of_a_named_argument_is_the_same_after_a_restart(decoys):
    bench = await nested(SUM, policies=PERMIT)
    await bench.act("refund", paying(700, **decoys))
    assert seen(bench, "paid") == 700
    assert told_by_the_ledger(bench).values(
        agent="scout", mandate="m-1", resource="", now=bench.clock.now()
    ) == {"paid": 700}
    await kept(bench)
    again = restarted(bench, keep_register=False)
    assert seen(again, "paid") == 700


@pytest.mark.requirement("HIST-08")
@pytest.mark.parametrize("decoys", [{}, {"case": "other"}])
async def test_an_approval_counts_for_what_is_touched_and_not_for_what_lies_at_the_top(decoys):
    bench = await nested(APPROVED, policies=PERMIT + ASKS)
    answer = await bench.act("refund", paying(1, **decoys))
    assert answer.approval is not None
    await bench.answer(answer.approval)
    assert seen(bench, "approved") == 1
    assert seen(bench, "approved", case="other") == 0
    told = told_by_the_ledger(bench)
    assert told.values(agent="scout", mandate="m-1", resource="", now=bench.clock.now()) == {"approved": 0}
    again = restarted(bench, keep_register=False)
    assert seen(again, "approved") == 1
    assert seen(again, "approved", case="other") == 0


@pytest.mark.requirement("OBL-05")
async def test_a_named_argument_is_narrowed_where_it_lies_and_nothing_else_is_sent():
    narrow = obliging(
        "modify:amount<=500", when="context.arguments has amount && context.arguments.amount > 500"
    )
    bench = await nested(policies=PERMIT + narrow)
    await bench.act("refund", paying(9000, note=1))
    assert [effect.arguments for effect in bench.upstream.effects] == [paying(500, note=1)]
    (leaf,) = bench.entries(Tag.INTENT)
    assert leaf["narrowed"] == ["modify"]


@pytest.mark.requirement("OBL-04")
async def test_narrowing_one_argument_leaves_those_that_are_named_by_a_pointer_alone():
    narrow = obliging("modify:note<=5", when="context.arguments has note && context.arguments.note > 5")
    bench = await nested(policies=PERMIT + narrow)
    await bench.act("refund", paying(9000, note=70))
    assert [effect.arguments for effect in bench.upstream.effects] == [paying(9000, note=5)]


@pytest.mark.requirement("OBL-04")
async def test_what_is_named_in_each_item_of_a_list_or_is_not_there_cannot_be_narrowed():
    parts = obliging('modify:parts in ["a"]', when="context.arguments has parts")
    bench = await nested(policies=PERMIT + parts)
    sent = {"pay": {"case": "4711", "amount": 1, "parts": ["a", "b"]}}
    with pytest.raises(Refused) as no:
        await bench.act("refund", sent)
    assert no.value.code == "obligation.unfulfillable"
    assert bench.upstream.effects == []


@pytest.mark.requirement("TOKEN-08")
async def test_no_credential_passes_beside_what_a_pointer_names():
    credentials = {"arguments": ["key"]}
    bench = await nested(policies=PERMIT, arguments=SAME_NAME, credentials=credentials)
    with pytest.raises(Refused) as raised:
        await bench.act("refund", {"pay": {"case": "4711", "parts": ["gh" + "p_" + "a1B2" * 9]}})
    assert raised.value.code == "arguments.token"
    assert bench.upstream.effects == []


@pytest.mark.requirement("HIST-08")
async def test_an_approval_counts_where_a_name_is_that_of_the_member_it_lies_in():
    bench = await nested(APPROVED, policies=PERMIT + ASKS, arguments=SAME_NAME)
    answer = await bench.act("refund", {"pay": {"case": "4711"}})
    assert answer.approval is not None
    await bench.answer(answer.approval)
    assert seen(bench, "approved") == 1
