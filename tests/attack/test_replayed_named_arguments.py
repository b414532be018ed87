"""Decisions about arguments that lie deep in an action, asked again by a stranger."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from answerable.core.mandate.caveat import ArgumentAtMost, ResourceIn
from answerable.core.mandate.mandate import Grant
from answerable.errors import Refused
from answerable.verify.asked_arguments import named_by
from answerable.verify.ledger_replay import replay_entries
from tests.attack.test_named_arguments import nested, paying
from tests.history_world import PERMIT
from tests.obligation_world import obliging

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ANSWER-01")]


def verdicts(bench):
    found = replay_entries(bench.walk.ledger.replay(), bench.walk.subject_keys.find)
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


@pytest.mark.parametrize("decoy", ["twelve", "NaN", "1e5", 7, ["5.00"], "5.0"])
def test_what_an_agent_puts_under_the_name_of_a_deeper_decimal_stops_no_replay(decoy):
    said = {"__extn": {"fn": "decimal", "arg": "5.00"}}
    asked = SimpleNamespace(context={"arguments": {"amount": said}})
    assert named_by(asked, {"amount": decoy, "note": 1}) == {"amount": "5.00", "note": 1}
