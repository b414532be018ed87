"""Stop rules that fired, as stories tell them."""

from __future__ import annotations

import pytest

from answerable.core.incident.describe_rules import rule_fired_told

LEAF = {
    "rule": "loops", "fired": "held", "kind": "trust_domain", "name": "x.test", "watches": "fan_out", "over": "agent",
    "owner": "scout", "value": 4, "limit": 3, "entries": [7, 8], "hold": "hold_1",
}  # fmt: skip


@pytest.mark.requirement("RULE-02")
def test_a_story_says_which_rule_stopped_what_by_which_entries() -> None:
    assert rule_fired_told(LEAF, {}) == (
        "Rule loops stopped trust domain x.test.",
        ("fan_out of agent scout: 4, more than 3", "entries: [7, 8]", "hold: hold_1"),
    )
    text, details = rule_fired_told({**LEAF, "fired": "would_hold", "entries": [], "hold": ""}, {})
    assert text == "Rule loops would have stopped trust domain x.test."
    assert len(details) == 1
    assert "is about to stop" in rule_fired_told({**LEAF, "fired": "warned"}, {})[0]
