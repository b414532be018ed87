from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.kept_answers import KeptAnswers
from tests.property.test_decision_laws import policy_sets, text, trials
from tests.property.test_policy_differential import composed_sets
from tests.worlds.policy import REGISTRY


@pytest.mark.requirement("HOUSE-14")
@given(own=policy_sets() | composed_sets(), some=st.lists(trials(), min_size=1, max_size=4), data=st.data())
def test_kept_answers_are_those_that_the_policies_give_when_they_are_asked(own, some, data):
    policy_set = published(text(own), REGISTRY)
    keeping, asking = (
        CedarDecisionPoint(policy_set, answers=KeptAnswers(most))
        for most in (data.draw(st.sampled_from((1, 3, 100))), 0)
    )
    for trial in data.draw(st.lists(st.sampled_from(some), min_size=2, max_size=12)):
        verified, facts = trial.verified(), trial.facts()
        assert keeping.decide(verified, facts) == asking.decide(verified, facts)
