"""`WWW-Authenticate`, as servers write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.sdk.challenge import VALUE_CHARS_MAX, VALUES_MAX, challenges

READ = [
    (
        'Bearer resource_metadata="https://a/b", scope="x y"',
        [("bearer", {"resource_metadata": "https://a/b", "scope": "x y"})],
    ),
    ('DPoP error="use_dpop_nonce",algs="ES256"', [("dpop", {"error": "use_dpop_nonce", "algs": "ES256"})]),
    (
        'Basic realm="a, b", DPoP error = invalid_token',
        [("basic", {"realm": "a, b"}), ("dpop", {"error": "invalid_token"})],
    ),
    ("Negotiate YWJj==, Bearer", [("negotiate", {}), ("bearer", {})]),
    (r'Bearer realm="say \"hi\" \\"', [("bearer", {"realm": 'say "hi" \\'})]),
    ("", []),
    ("Bearer", [("bearer", {})]),
    (', ,Bearer a="1",, ,', [("bearer", {"a": "1"})]),
    # Says one thing twice: not believed. The next one is.
    ('Bearer scope="a", scope="b", DPoP a=1', [("dpop", {"a": "1"})]),
    ('Bearer scope="never ends', []),
    ("Bearer \x00", []),
    ('=, "x"', []),
    ("B a=1 " + "x" * VALUE_CHARS_MAX, []),
]


@pytest.mark.parametrize(("value", "expected"), READ)
def test_a_challenge_is_read_or_counts_as_not_there(value, expected):
    assert [(one.scheme, dict(one.parameters)) for one in challenges([value])] == expected


def test_only_so_many_values_are_read():
    assert len(challenges(["Bearer a=1"] * 100)) == VALUES_MAX


@given(st.lists(st.text(alphabet=st.sampled_from('abB=, "\\\t.~é'), max_size=60), max_size=4))
def test_nothing_that_a_server_says_breaks_the_reader(values):
    for one in challenges(values):
        assert one.scheme == one.scheme.lower()
