"""The table of states."""

from __future__ import annotations

import pytest

from answerable.core.action.lifecycle import ENDS, TRANSITIONS, moved
from answerable.errors import Broken

pytestmark = pytest.mark.requirement("WALK-03")


def test_an_action_moves_along_the_table_and_nowhere_else():
    for state, targets in TRANSITIONS.items():
        for to in TRANSITIONS:
            if to in targets:
                assert moved(state, to) == to
            else:
                with pytest.raises(Broken):
                    moved(state, to)


def test_from_logged_every_way_ends_and_only_what_is_not_known_can_be_corrected():
    reached, frontier = set(), ["logged"]
    while frontier:
        state = frontier.pop()
        reached.add(state)
        frontier += [to for to in TRANSITIONS[state] if to not in reached]
    assert reached - {"logged", "acting"} == ENDS - {"refused"}
    assert {state for state in ENDS if TRANSITIONS[state]} == {"indeterminate"}
