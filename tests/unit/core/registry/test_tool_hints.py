"""What a server's own word on the harm of its tools is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.tools.tool_hints import ToolHints, hints_of, raised, told_weight
from answerable.testing.builders import bench_documents
from tests.worlds.tool import described

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

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


CAPABILITY = snapshot_of(bench_documents()).capabilities["crm.read"]
OPEN_READER: JSONValue = {"readOnlyHint": True}


@pytest.mark.requirement("HINT-05")
@pytest.mark.parametrize(
    ("annotations", "changes", "expected"),
    [
        ({}, {}, [("its actions are decided at tier 3, above the 1 of capability `crm.read`", False)]),
        (OPEN_READER, {}, [("its actions are decided at tier 1, as capability `crm.read` has it", False)]),
        (
            OPEN_READER,
            {"kind": "write"},
            [
                (
                    "the server declares `readOnlyHint` true, but capability `crm.read` is of kind write: the hint is "
                    "ignored",
                    True,
                ),
                ("its actions are decided at tier 3, above the 1 of capability `crm.read`", False),
            ],
        ),
        (
            {},
            {"unhinted_accepted": True},
            [
                (
                    "capability `crm.read` says `unhinted: accepted`: that readOnlyHint, destructiveHint, "
                    "openWorldHint is not said raises nothing",
                    True,
                ),
                ("its actions are decided at tier 1, as capability `crm.read` has it", False),
            ],
        ),
        (
            {"readOnlyHint": True, "openWorldHint": True},
            {"unhinted_accepted": True},
            [("its actions are decided at tier 1, as capability `crm.read` has it", False)],
        ),
    ],
)
def test_what_hints_come_to_is_told_in_words(annotations, changes, expected):
    told = told_weight(replace(CAPABILITY, **changes), described(annotations=annotations))
    assert [*told] == expected


@pytest.mark.requirement("HINT-04")
def test_a_tool_of_which_nothing_is_known_is_one_without_hints():
    assert raised(CAPABILITY, None).tier == raised(CAPABILITY, described()).tier == 3
    assert raised(replace(CAPABILITY, unhinted_accepted=True), None) == replace(
        CAPABILITY, unhinted_accepted=True
    )
