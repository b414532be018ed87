"""Policy sets as they are written down."""

from __future__ import annotations

import pytest

from answerable.core.canonical import encode
from answerable.core.registry.documents.policy_parts import NO_PARTS, PolicyParts, TimeWindow
from answerable.core.registry.policy_sets.policy_statement import policy_statement, read_statement
from answerable.errors import Malformed

pytestmark = pytest.mark.requirement("ANSWER-03")

PARTS = PolicyParts(windows=(TimeWindow(name="freeze", begins=1, ends=2),))


@pytest.mark.parametrize("parts", [NO_PARTS, PARTS])
def test_reading_gives_back_what_was_written(parts):
    written = policy_statement("permit(principal, action, resource);", parts=parts, schema={"": {}})
    found = read_statement(written.bytes)
    assert (found.policies, found.parts) == ("permit(principal, action, resource);", parts)
    assert len(found.schema_digest) == 64


def test_a_text_from_before_declarations_were_written_down_is_read_as_one_without_known_parts():
    found = read_statement(encode("permit(principal, action, resource);"))
    assert (found.parts, found.schema_digest) == (None, "")


@pytest.mark.parametrize(
    "text",
    [
        b"1",
        b"[]",
        b"{}",
        b'{"policies":""}',
        b'{"policies":1,"schema_digest":""}',
        b'{"policies":"","schema_digest":"","x":1}',
        b'{"parts":[],"policies":"","schema_digest":""}',
        b"{",
    ],
)
def test_whatever_else_is_refused(text):
    with pytest.raises(Malformed):
        read_statement(text)
