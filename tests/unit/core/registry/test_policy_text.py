from __future__ import annotations

import pytest

from answerable.core.registry.policy_sets.policy_text import (
    NESTING_MAX,
    POLICY_CHARS_MAX,
    TEXT_CHARS_MAX,
    statements,
)
from answerable.errors import Malformed

PERMIT = "permit(principal, action, resource)"


def test_policies_are_split_where_cedar_ends_them_and_know_their_line():
    annotated = '@reason("no; end // here \\"; ")'
    text = f"// a; comment\n{annotated}\n{PERMIT};\n\n{PERMIT}\nwhen {{ true }};\n// the end; really\n"
    assert [(found.line, found.text.strip()[:9]) for found in statements(text)] == [
        (1, "// a; com"),
        (5, "permit(pr"),
    ]


def test_an_unfinished_policy_is_a_statement_too():
    assert [found.line for found in statements(f"{PERMIT};\npermit(principal")] == [1, 2]
    assert statements(" \n// nothing\n") == ()


@pytest.mark.parametrize("bracket", ["(", "[", "{", "{a:["])
def test_nesting_that_would_end_the_process_is_refused(bracket: str):
    # Cedar's parser recurses without a bound: some 700 brackets are a segmentation fault.
    with pytest.raises(Malformed, match="nested deeper than 64"):
        statements(f"{PERMIT} when {{ {bracket * NESTING_MAX} }};")


def test_a_policy_too_long_for_cedars_parser_is_refused():
    with pytest.raises(Malformed, match="line 2 has"):
        statements(f"{PERMIT};\n{PERMIT} when {{ {'true && ' * (POLICY_CHARS_MAX // 8)}true }};")


def test_brackets_in_text_and_comments_do_not_count():
    inside = "(" * 1000
    assert len(statements(f'// {inside}\n@reason("{inside}")\n{PERMIT};')) == 1


def test_a_bracket_that_never_closes_cannot_hide_a_long_policy():
    with pytest.raises(Malformed, match="has"):
        statements(f"permit(principal; {'true && ' * POLICY_CHARS_MAX}")


def test_the_whole_text_has_a_bound():
    with pytest.raises(Malformed, match="expected at most"):
        statements(" " * (TEXT_CHARS_MAX + 1))


def test_a_comment_ends_where_cedar_ends_it():
    # At a carriage return alone, too: what editors show as the rest of a comment is a policy.
    found = statements(f"// all fine\r{PERMIT};\n// the end\r\n")
    assert [(one.line, one.text.endswith(";")) for one in found] == [(1, True)]
