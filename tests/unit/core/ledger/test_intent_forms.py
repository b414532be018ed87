"""An entry that is filled into a form is the one that the encoder writes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from answerable.core.action.outcome import Outcome
from answerable.core.canonical import INTEGER_MAX
from answerable.core.decision.decision import Decision, Reason
from answerable.core.ledger import records_actions
from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.leaves import HopLeaf, IntentLeaf, OutcomeLeaf, Reference, encoded_leaf
from answerable.core.ledger.runs import Run
from answerable.core.mandate.budget import ONE_CALL, Reserved
from answerable.testing.entropy import SeededEntropy
from tests.unit.core.ledger.test_records import INTENT, KEY, VERIFIED

pytestmark = pytest.mark.requirement("WALK-02")

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["%s", "\x00", '"%d', "é"]
)
_NUMBER = st.integers(min_value=0, max_value=INTEGER_MAX)
_HEX = st.text("0123456789abcdef", min_size=1, max_size=64)
_RUN = st.builds(Run, id=_HEX, prev=st.text("aZ9-_", max_size=43), seq=_NUMBER)
_NAMES = st.lists(_TEXT, max_size=3).map(tuple)
_REFERENCE = st.builds(Reference, entry=_NUMBER, leaf=_HEX, log=st.just("") | _TEXT)
_CALLERS = st.builds(
    lambda **given: structs.replace(VERIFIED.caller, **given),
    binding=_TEXT,
    sequence=_NUMBER,
    message_digest=st.binary(min_size=32, max_size=32),
)
_ACTIONS = st.fixed_dictionaries({
    "at": _NUMBER, "run": _RUN, "action_id": _HEX, "deadline": _NUMBER, "call": _NUMBER,
})  # fmt: skip
_PLANS = st.fixed_dictionaries({
    "principal": _TEXT, "mandate_ref": _REFERENCE, "policy_ref": _REFERENCE, "tool_ref": _REFERENCE,
    "hops": st.lists(st.builds(HopLeaf, agent=_TEXT, entry=_NUMBER, id=_TEXT, leaf=_HEX), max_size=2),
    "reserved": _NAMES.map(lambda more: Reserved(accounts=("m", *more), amounts=ONE_CALL)),
})  # fmt: skip
_DECISIONS = st.builds(
    lambda **given: Decision(**given),
    effect=st.just("allow"),
    reasons=st.just(()) | st.just((Reason(source="p", text="t", internal="i"),)),
    determined_by=_NAMES,
    lifted=_NAMES,
    policy_set=_HEX,
    obligations=st.just(()) | st.just(("log:digest", "notify:crew")),
    question=st.just(b"") | st.just(b'{"v":3}'),
)


def whole(
    verified: object, decision: Decision, action: dict[str, object], plan: dict[str, object]
) -> tuple[Entry, IntentLeaf]:
    return records_actions.intent(
        verified,
        decision,
        sealing=Sealing(key=KEY, random=SeededEntropy(7).bytes),
        idempotency_key=action["action_id"],
        lease_name="",
        approval_id="",
        **action,
        **plan,
    )


@given(
    _DECISIONS, _PLANS, st.lists(_ACTIONS, min_size=2, max_size=2), st.lists(_CALLERS, min_size=2, max_size=2)
)
def test_the_form_of_one_intent_makes_another_as_the_encoder_writes_it(decision, plan, actions, callers):
    first, second = (structs.replace(VERIFIED, caller=caller) for caller in callers)
    text = records_actions.intent_text(whole(first, decision, actions[0], plan)[1])
    sealing = Sealing(key=KEY, random=SeededEntropy(7).bytes)
    filled = records_actions.usual_intent(text, second, decision, sealing=sealing, **actions[1])
    made, leaf = whole(second, decision, actions[1], plan)
    assert filled == made
    assert encoded_leaf(msgspec.json.decode(filled.leaf, type=IntentLeaf)) == filled.leaf
    assert records_actions.intent_text(leaf) == text


@given(
    st.builds(
        lambda **given: Outcome(**given),
        status=st.sampled_from(["succeeded", "failed", "not_started", "indeterminate"]),
        detail=_TEXT,
        returned=st.sampled_from([{}, {"calls": 1}]),
        session=st.sampled_from([None, {"id": "%s"}]),
    ),
    _NUMBER,
    st.none() | _RUN,
    _HEX,
)
def test_an_outcome_is_what_the_encoder_writes(outcome, at, run, action):
    made = records_actions.outcome(
        outcome,
        at=at,
        sealing=Sealing(key=KEY, random=SeededEntropy(7).bytes),
        run=run,
        action_id=action,
        intent=INTENT,
        result=b'{"text":"%s"}',
        result_digest="",
    )
    leaf = msgspec.json.decode(made.leaf, type=OutcomeLeaf)
    assert encoded_leaf(leaf) == made.leaf
    told = (leaf.at, leaf.run, leaf.action, leaf.intent, leaf.status, leaf.returned, leaf.session, leaf.tag)
    assert told == (
        at,
        run,
        action,
        INTENT.index,
        outcome.status,
        outcome.returned or None,
        outcome.session,
        made.tag,
    )
