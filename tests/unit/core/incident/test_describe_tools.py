"""What the timeline tells of tools whose definitions came into force."""

from __future__ import annotations

import pytest

from answerable.core.incident.timeline import Moment, told
from answerable.core.ledger.tags import Tag

LEAF = {
    "v": 2, "tag": int(Tag.TOOL_PINNED), "at": 0, "server": "crm", "tool": "get_case", "definition": "ab" * 32,
    "previous": "", "source": "owner", "by": "pseudonym",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "payload", "text", "details"),
    [
        ({}, {"by": "alice"}, "alice approved definition abababababab… of tool get_case of server crm.", ()),
        (
            {"previous": "cd" * 32},
            {"by": "alice"},
            "alice approved definition abababababab… of tool get_case of server crm.",
            ("in place of cdcdcdcdcdcd…",),
        ),
        ({}, None, "pseudonym approved definition abababababab… of tool get_case of server crm.", ()),
        (
            {"source": "first_sight"},
            {},
            "Definition abababababab… of tool get_case of server crm was pinned at first sight; nobody read it.",
            (),
        ),
    ],
)
def test_who_let_which_definition_through_is_said(changes, payload, text, details):
    line = told(Moment(index=7, tag=Tag.TOOL_PINNED, leaf={**LEAF, **changes}, payload=payload))
    assert text in line.text
    assert line.details[: len(details)] == details
