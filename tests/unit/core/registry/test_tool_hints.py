"""What a server's own word on the harm of its tools is worth."""

from __future__ import annotations

import pytest

from answerable.core.registry.tool_hints import ToolHints, hints_of
from tests.tool_world import described

pytestmark = pytest.mark.requirement("TOOL-07")


@pytest.mark.parametrize(
    ("annotations", "unlooked", "looked"),
    [
        (None, 3, 0),
        ({}, 3, 0),
        ({"readOnlyHint": True}, 1, 0),
        ({"readOnlyHint": True, "openWorldHint": False}, 0, 0),
        ({"readOnlyHint": True, "openWorldHint": True}, 1, 1),
        ({"destructiveHint": False}, 2, 0),
        ({"destructiveHint": False, "openWorldHint": False}, 1, 0),
        ({"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}, 1, 1),
        ({"destructiveHint": True, "openWorldHint": False}, 2, 2),
        ({"destructiveHint": True}, 3, 2),
        ({"readOnlyHint": True, "destructiveHint": True, "openWorldHint": False}, 0, 0),
        ({"readOnlyHint": "yes"}, 3, 0),
    ],
)
def test_what_is_not_said_counts_as_the_worst_where_nobody_has_looked(annotations, unlooked, looked):
    hints = hints_of(described(annotations=annotations))
    assert hints.tier_at_least(unsaid_is_worst=True) == unlooked
    assert hints.tier_at_least(unsaid_is_worst=False) == looked


def test_what_is_no_definition_says_nothing():
    for one in (None, [], "x", {"annotations": []}):
        assert hints_of(one) == ToolHints()
