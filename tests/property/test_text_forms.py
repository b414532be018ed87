"""What a form of a plan is filled to is what the encoder makes, byte for byte, whatever names and values are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.core.action.text_form import FORMS_MAX, Forms, TextForm, form_of
from answerable.core.ledger.intent_form import Cited, Varying, encoded_intent
from answerable.core.ledger.leaves import HopLeaf, ProofLeaf, Reference
from answerable.core.ledger.runs import Run
from tests.property.test_decision_laws import policy_sets, text, trials
from tests.property.test_policy_differential import composed_sets
from tests.worlds.policy import REGISTRY

pytestmark = pytest.mark.requirement("HOUSE-64")

COUNTS = st.integers(0, 2**53 - 1)
WORDS = st.text(max_size=12).filter(
    lambda one: one.isascii() or not any("\ud800" <= c <= "\udfff" for c in one)
)
SAID = WORDS | st.sampled_from(
    ("%s", "%", "%%d", '"', "\\", "\0action", '"\0lease"', ',"key":"\0key"', "é€😀")
)
HEX = st.text("0123456789abcdef", min_size=8, max_size=64)
REFERENCES = st.builds(Reference, entry=COUNTS, leaf=HEX, log=st.sampled_from(("", "other.example/log")))
VARYING = st.builds(
    Varying,
    sd=st.lists(st.text("abcXYZ019-_", min_size=43, max_size=43), max_size=6),
    accounts=st.none() | st.lists(SAID, min_size=1, max_size=3),
    action=SAID,
    approval=SAID,
    at=COUNTS,
    call=COUNTS,
    deadline=COUNTS,
    digest=HEX,
    key=SAID,
    lease=SAID,
    lease_target=SAID,
    payload=HEX,
    prepared_ref=st.none() | REFERENCES,
    preview_of=SAID,
    proof=st.builds(ProofLeaf, binding=SAID, kind=st.sampled_from(("dpop", "session")), sequence=COUNTS),
    reserved=st.none() | st.dictionaries(SAID, COUNTS, max_size=3),
    run=st.builds(Run, id=HEX, prev=st.just("") | HEX, seq=COUNTS),
)
CITED = st.builds(
    Cited,
    principal=HEX,
    mandate=REFERENCES,
    policy_set=REFERENCES,
    tool=REFERENCES,
    hops=st.lists(st.builds(HopLeaf, agent=SAID, entry=COUNTS, id=SAID, leaf=HEX), max_size=2),
)


class Counted(Forms):
    """Forms that know how often one of them was filled."""

    def __init__(self) -> None:
        super().__init__()
        self.filled = 0

    def find(self, key, made_for, make):
        found = super().find(key, made_for, make)
        self.filled += found is not None
        return found


@given(
    own=policy_sets() | composed_sets(),
    some=st.lists(trials(), min_size=1, max_size=3),
    cited=st.lists(CITED, min_size=1, max_size=2),
    data=st.data(),
)
def test_questions_and_leaves_by_a_form_are_those_of_the_encoder(own, some, cited, data):
    point, forms = CedarDecisionPoint(published(text(own), REGISTRY)), Counted()
    for trial in data.draw(st.lists(st.sampled_from(some), min_size=3, max_size=10)):
        plain, facts = trial.verified(), trial.facts()
        # One set of forms for all: whatever is another plan's must not be taken for this one's.
        by_form = structs.replace(plain, forms=forms)
        decision = point.decide(plain, facts)
        assert point.decide(by_form, facts) == decision
        given_, names = data.draw(VARYING), data.draw(st.sampled_from(cited))
        leaf = encoded_intent(plain, decision, names, given_)
        assert encoded_intent(by_form, decision, names, given_) == leaf


@given(varying=st.lists(VARYING, min_size=3, max_size=6), cited=CITED, trial=trials())
def test_the_third_intent_of_a_plan_is_filled_in(varying, cited, trial):
    point, forms = CedarDecisionPoint(published(text([]), REGISTRY)), Counted()
    plain, facts = trial.verified(), trial.facts()
    decision = point.decide(plain, facts)
    by_form = structs.replace(plain, forms=forms)
    for one in varying:
        leaf = encoded_intent(plain, decision, cited, one)
        assert encoded_intent(by_form, decision, cited, one) == leaf
    marked = any("\0" in hop.agent or "\0" in hop.id for hop in cited.hops)
    assert forms.filled == len(varying) - 1 or marked


@given(parts=st.lists(WORDS | st.just("%s"), min_size=3, max_size=3), values=st.tuples(WORDS, COUNTS))
def test_a_form_is_filled_with_what_it_is_given(parts, values):
    holes = ('"\\u0000a"', '"\\u0000b"')
    first, second, third = parts
    found = form_of(f"{first}{holes[0]}{second}{holes[1]}{third}".encode(), holes, ())
    assert found is not None
    assert found.filled(*values).decode() == f"{first}{values[0]}{second}{values[1]}{third}"


@pytest.mark.parametrize("encoded", ["a", "ab", "aab", "abab", "ba"])
def test_where_a_mark_is_not_there_exactly_once_and_in_order_there_is_no_form(encoded: str):
    found = form_of(encoded.encode(), ("a", "b"), ())
    assert (found is not None) is (encoded == "ab")


def test_a_form_is_made_at_the_second_use_and_again_for_other_values_and_there_are_so_many():
    forms, made = Forms(), []

    def make(of: int) -> TextForm:
        made.append(of)
        return TextForm("%s", (of,))

    assert forms.find("a", (1,), lambda: make(1)) is None
    kept = forms.find("a", (1,), lambda: make(1))
    assert forms.find("a", (1,), lambda: make(1)) is kept
    assert forms.find("a", (2,), lambda: make(2)) is not kept
    assert made == [1, 2]
    for number in range(FORMS_MAX):
        forms.find(number, (), lambda: make(3))
    last = FORMS_MAX - 1
    assert forms.find(last, (), lambda: make(3)) is None
    assert made == [1, 2]
