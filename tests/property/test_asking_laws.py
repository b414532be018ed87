"""Questions asked again: of the set that decided them, and of others."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.asking import Asking
from tests.property.test_decision_laws import text, trials
from tests.property.test_policy_differential import composed_sets
from tests.worlds.policy import PARTS, REGISTRY


@pytest.mark.requirement("PUB-01")
@given(own=composed_sets(), other=composed_sets(), trials=st.lists(trials(), min_size=1, max_size=8))
def test_a_question_asked_again_gets_what_that_set_decides_of_the_action_itself(own, other, trials):
    asked, candidate = (published(text(one), REGISTRY) for one in (own, other))
    point, twin = CedarDecisionPoint(asked), CedarDecisionPoint(candidate)
    again, of_other = Asking(asked), Asking(candidate)
    for trial in trials:
        verified, facts = trial.verified(), trial.facts()
        decision, wanted = point.decide(verified, facts), twin.decide(verified, facts)
        for asking, expected in ((again, decision), (of_other, wanted)):
            found = asking.ask(decision.question, counted_by=PARTS)
            if expected.reasons and expected.determined_by[0].startswith(("mandate.", "arguments.")):
                # The code of a rule is all that a question keeps of it.
                assert (found.effect, found.determined_by) == (expected.effect, expected.determined_by)
                continue
            assert found == msgspec.structs.replace(expected, question=b"")
