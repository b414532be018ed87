"""Decisions about arguments that lie deep in an action, asked again by a stranger."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from msgspec import structs

from answerable.core.mandate.caveat import ArgumentAtMost, ResourceIn
from answerable.core.mandate.mandate import Grant
from answerable.errors import Refused
from answerable.verify.asked_arguments import named_by
from answerable.verify.decision_replay import replay
from answerable.verify.ledger_replay import replay_entries
from tests.attack.test_named_arguments import ARGUMENTS, nested, paying
from tests.unit.verify.test_decision_replay import decisions
from tests.worlds.history import PERMIT
from tests.worlds.obligation import obliging
from tests.worlds.question import in_version_1

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ANSWER-01")]


LOOSE = [ARGUMENTS[0], {"name": "amount", "type": "integer", "pointer": "/pay/amount"}]


def verdicts(bench):
    found = replay_entries(bench.recorder.ledger.replay(), bench.recorder.subject_keys.find)
    return [(one.verdict, one.recorded.effect, one.text) for one in found]


async def test_what_a_mandate_says_of_an_argument_deep_in_an_action_is_no_alarm():
    bench = await nested(policies=PERMIT)
    caveats = (ArgumentAtMost(name="amount", maximum=4000), ResourceIn(ids=("4711",)))
    await bench.issue("m-2", grants=(Grant(capability="crm.refund", caveats=caveats),))
    await bench.act("refund", paying(100), mandate="m-2")
    with pytest.raises(Refused, match="up to 4000"):
        await bench.act("refund", paying(9000), mandate="m-2")
    allowed, denied = verdicts(bench)
    assert allowed[:2] == ("same", "allow"), allowed
    assert denied[:2] == ("same", "deny"), denied
    assert "9000" in denied[2]


async def test_an_argument_that_was_narrowed_where_it_lies_is_no_alarm():
    narrow = obliging(
        "modify:amount<=500", when="context.arguments has amount && context.arguments.amount > 500"
    )
    bench = await nested(policies=PERMIT + narrow)
    await bench.act("refund", paying(9000, note=1))
    ((verdict, _, text),) = verdicts(bench)
    assert verdict == "same", text


@pytest.mark.parametrize("decoy", [100, 9000, "much"])
async def test_a_decoy_beside_an_absent_argument_that_a_mandate_bounds_is_no_alarm(decoy):
    bench = await nested(policies=PERMIT)
    caveats = (ArgumentAtMost(name="amount", maximum=4000),)
    await bench.issue("m-2", grants=(Grant(capability="crm.refund", caveats=caveats),))
    with pytest.raises(Refused, match="amount"):
        await bench.act("refund", {"pay": {"case": "4711"}, "amount": decoy}, mandate="m-2")
    ((verdict, effect, text),) = verdicts(bench)
    assert (verdict, effect) == ("same", "deny"), text


@pytest.mark.parametrize("decoy", [100, 9000])
async def test_an_argument_at_the_top_that_the_capability_does_not_name_is_held_against_the_mandate(decoy):
    bench = await nested(policies=PERMIT, arguments=[one for one in ARGUMENTS if one["name"] != "amount"])
    caveats = (ArgumentAtMost(name="amount", maximum=4000),)
    await bench.issue("m-2", grants=(Grant(capability="crm.refund", caveats=caveats),))
    allowed = decoy <= 4000
    with nullcontext() if allowed else pytest.raises(Refused, match="up to 4000"):
        await bench.act("refund", {"pay": {"case": "4711"}, "amount": decoy}, mandate="m-2")
    ((verdict, effect, text),) = verdicts(bench)
    assert (verdict, effect) == ("same", "allow" if allowed else "deny"), text


@pytest.mark.requirement("ANSWER-08")
@pytest.mark.parametrize(
    "sent", [{"amount": "much"}, {"amount": True}, {"amount": [1]}, {"amount": 1, "parts": ["a", 1]}]
)
async def test_a_denial_of_an_argument_that_does_not_fit_is_derived_by_mapping_it_again(sent):
    bench = await nested(policies=PERMIT)
    with pytest.raises(Refused) as told:
        await bench.act("refund", {"pay": {"case": "4711", **sent}, "amount": 5, "parts": ["a"]})
    assert told.value.code == "arguments.unmappable"
    ((verdict, effect, text),) = verdicts(bench)
    assert (verdict, effect) == ("same", "deny"), text
    assert text == told.value.message.removeprefix("not allowed: ")


@pytest.mark.requirement("ANSWER-08")
async def test_a_denial_of_an_argument_that_fits_is_an_alarm_and_one_whose_mapping_is_not_told_is_not_disclosed():
    bench = await nested(policies=PERMIT, arguments=LOOSE)
    with pytest.raises(Refused):
        await bench.act("refund", {"pay": {"case": "4711", "amount": "much"}})
    (entry,), statements = decisions(bench)
    mandate = statements.mandate(entry.leaf)
    question, request = json.loads(entry.fields["question"]), entry.fields["request"]
    assert question["mapping"] == [
        ["case", "string", True, "/pay/case"],
        ["amount", "integer", False, "/pay/amount"],
    ]

    def asked(mandate=mandate, request=request, **changed):
        fields = {
            **entry.fields,
            "request": request,
            "question": json.dumps({**question, **changed}).encode(),
        }
        return replay(structs.replace(entry, fields=fields), policies=None, mandate=mandate)

    assert asked().verdict == "same"
    assert (asked(mandate=None).verdict, asked(mandate=None).unchecked) == ("same", ("mandate",))
    assert asked(request=request.replace(b'"much"', b"5")).verdict == "differs"
    assert asked(mapping=None).verdict == "not_disclosed"
    assert asked(mapping=[["case", "map", True, ""]]).verdict == "cannot_tell"
    assert asked(request=request.replace(b'"much"', b'"[hidden: jose]"')).verdict == "not_disclosed"
    assert asked(mandate_state="closed").verdict == "differs", "the mandate would have said no before"


async def test_a_question_from_before_the_mapping_was_told_is_no_alarm_by_a_name_that_may_be_of_something_deeper():
    bench = await nested(policies=PERMIT)
    caveats = (ArgumentAtMost(name="amount", maximum=4000),)
    await bench.issue("m-2", grants=(Grant(capability="crm.refund", caveats=caveats),))
    with pytest.raises(Refused):
        await bench.act("refund", {"pay": {"case": "4711"}, "amount": 100}, mandate="m-2")
    (entry,), statements = decisions(bench)
    question = in_version_1(entry.fields["question"])
    del question["mapping"]
    old = structs.replace(entry, fields={**entry.fields, "question": json.dumps(question).encode()})
    found = replay(old, policies=None, mandate=statements.mandate(entry.leaf))
    assert found.verdict == "not_disclosed", found.text
    closed = {**question, "mandate_state": "closed"}
    old = structs.replace(entry, fields={**entry.fields, "question": json.dumps(closed).encode()})
    assert replay(old, policies=None, mandate=statements.mandate(entry.leaf)).verdict == "differs"


@pytest.mark.parametrize("decoy", ["twelve", "NaN", "1e5", 7, ["5.00"], "5.0"])
def test_what_an_agent_puts_under_the_name_of_a_deeper_decimal_stops_no_replay(decoy):
    said = {"__extn": {"fn": "decimal", "arg": "5.00"}}
    asked = SimpleNamespace(context={"arguments": {"amount": said}}, mappings=lambda: None)
    assert named_by(asked, {"amount": decoy, "note": 1}) == {"amount": "5.00", "note": 1}
