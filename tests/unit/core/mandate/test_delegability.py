"""How far a mandate may be handed on, on the wire and for receivers."""

from __future__ import annotations

import pytest

from answerable.core.mandate.delegability import (
    NOT_DELEGABLE,
    Delegability,
    delegability_in,
    delegation_claim,
)
from answerable.errors import Malformed

SOME = Delegability(depth_max=2, width_max=3, to=("agent:writer", "use_case:research", "group:team"))


def test_it_survives_the_wire():
    assert delegability_in(delegation_claim(SOME)) == SOME


@pytest.mark.parametrize(
    "claim",
    [
        None,
        [],
        {},
        {"depth_max": 1, "width_max": 1},
        {"depth_max": 1, "width_max": 1, "to": ["agent:a"], "more": 1},
        {"depth_max": 0, "width_max": 0, "to": []},
        {"depth_max": 1, "width_max": 1, "to": []},
        {"depth_max": 1, "width_max": 0, "to": ["agent:a"]},
        {"depth_max": True, "width_max": 1, "to": ["agent:a"]},
        {"depth_max": 1.0, "width_max": 1, "to": ["agent:a"]},
        {"depth_max": 17, "width_max": 1, "to": ["agent:a"]},
        {"depth_max": 1, "width_max": 101, "to": ["agent:a"]},
        {"depth_max": -1, "width_max": 1, "to": ["agent:a"]},
        {"depth_max": 1, "width_max": 1, "to": "agent:a"},
        {"depth_max": 1, "width_max": 1, "to": [1]},
        {"depth_max": 1, "width_max": 1, "to": ["agent:a", "agent:a"]},
        {"depth_max": 1, "width_max": 1, "to": ["anybody"]},
        {"depth_max": 1, "width_max": 1, "to": ["agent:*"]},
        {"depth_max": 1, "width_max": 1, "to": ["agent:A"]},
        {"depth_max": 1, "width_max": 1, "to": [f"agent:a{n}" for n in range(65)]},
    ],
)
def test_what_does_not_say_it_whole_refuses(claim):
    with pytest.raises(Malformed):
        delegability_in(claim)


def test_only_who_is_named_receives():
    nobody = {"agent": "x", "use_case": "y", "owner_groups": ("z",)}
    assert not SOME.receives(**nobody)
    assert SOME.receives(**{**nobody, "agent": "writer"})
    assert SOME.receives(**{**nobody, "use_case": "research"})
    assert SOME.receives(**{**nobody, "owner_groups": ("z", "team")})
    assert not SOME.receives(agent="research", use_case="team", owner_groups=("writer",))
    assert not NOT_DELEGABLE.receives(agent="writer", use_case="research", owner_groups=("team",))
