"""Constraints: what passes each type, what covers what, and what is no constraint."""

from __future__ import annotations

import pytest

from answerable.core.mandate.constraint import (
    KEY_CHARS_MAX,
    MEMBERS_MAX,
    TEXT_CHARS_MAX,
    Max,
    MaxLifetime,
    MaxSubtree,
    Min,
    NotOneOf,
    OneOf,
    Prefix,
    Rank,
    Unknown,
    from_wire,
    made,
    met,
    to_wire,
)
from answerable.errors import Malformed

ORDER = ("none", "internal", "any")


@pytest.mark.parametrize(
    ("constraint", "passes", "fails"),
    [
        (Max(key="k", bound=5), [5, 0, -1], [6, 5.0, True, "5", None, [5]]),
        (Max(key="k", bound=1.5), [1], [2, 1.2]),
        (Min(key="k", bound=5), [5, 6], [4, True, None]),
        (OneOf(key="k", members=("a", 1)), ["a", 1], ["A", "b", True, 1.0, None, ["a"]]),
        (OneOf(key="k", members=()), [], ["a", 1, None]),
        (NotOneOf(key="k", members=("a", 1)), ["b", 2, True], ["a", "A", 1, 1.5, None, [], "a%41", "x/../b"]),
        (Prefix(key="k", prefix="a/b"), ["a/b", "a/b/c"], ["a/bc", "a", 1, None, "a/b/../c"]),
        (Prefix(key="k", prefix="case-"), ["case-1", "case-"], ["case", "Case-1"]),
        (
            Rank(key="k", rank="internal", order=ORDER),
            ["none", "internal"],
            ["any", "elsewhere", 0, None, {}],
        ),
        (MaxLifetime(key="k", bound=5), [], [0, 1, None]),
        (MaxSubtree(key="k", bound=5), [], [0, 1, None]),
    ],
)
def test_each_type_lets_pass_what_it_says(constraint, passes, fails):
    assert [fact for fact in passes if constraint.failure(fact) is not None] == []
    assert [fact for fact in fails if constraint.failure(fact) is None] == []


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (Max(key="k", bound=5), Max(key="k", bound=4)),
        (Min(key="k", bound=4), Min(key="k", bound=5)),
        (OneOf(key="k", members=("a", "b")), OneOf(key="k", members=("b",))),
        (NotOneOf(key="k", members=("a",)), NotOneOf(key="k", members=("b", "a"))),
        (Prefix(key="k", prefix="a"), Prefix(key="k", prefix="a/b")),
        (Rank(key="k", rank="any", order=ORDER), Rank(key="k", rank="none", order=ORDER)),
        (MaxLifetime(key="k", bound=5), MaxLifetime(key="k", bound=4)),
        (MaxSubtree(key="k", bound=5), MaxSubtree(key="k", bound=4)),
    ],
)
def test_a_wider_bound_covers_a_narrower_one_of_its_own_key_and_type_only(wide, narrow):
    assert wide.covers(wide)
    assert wide.covers(narrow)
    assert not narrow.covers(wide)
    assert met(wide, narrow) == met(narrow, wide) == narrow
    for other in (Max(key="j", bound=-9), Min(key="j", bound=99), OneOf(key="j", members=())):
        assert not wide.covers(other)
        assert met(wide, other) is None
    assert not wide.covers(from_wire({**to_wire(narrow), "key": "j"}))


def test_an_unknown_type_covers_only_what_is_identical():
    unknown = from_wire({"key": "quota", "units": 5})
    assert unknown.covers(from_wire({"units": 5, "key": "quota"}))
    assert not unknown.covers(from_wire({"key": "quota", "units": 4}))
    assert not Max(key="quota", bound=9).covers(unknown)
    assert unknown.failure(1) == "within a bound of the unknown type `units`"
    assert to_wire(unknown) == {"key": "quota", "units": 5}


def test_what_two_bounds_have_in_common():
    assert met(OneOf(key="k", members=("a", "b")), OneOf(key="k", members=("b", "c"))) == OneOf(
        key="k", members=("b",)
    )
    assert met(NotOneOf(key="k", members=("a", "b")), NotOneOf(key="k", members=("b", "c"))) == NotOneOf(
        key="k", members=("a", "b", "c")
    )
    assert met(Prefix(key="k", prefix="a"), Prefix(key="k", prefix="b")) is None
    assert met(OneOf(key="k", members=("a",)), NotOneOf(key="k", members=("b",))) is None
    assert met(OneOf(key="k", members=("a",)), OneOf(key="j", members=("b",))) is None
    assert met(NotOneOf(key="k", members=("a",)), NotOneOf(key="j", members=("b",))) is None
    assert met(NotOneOf(key="k", members=("a",)), OneOf(key="k", members=("b",))) is None


@pytest.mark.parametrize(
    "wire",
    [
        None,
        [],
        {},
        {"key": "k"},
        {"max": 5},
        {"key": 7, "max": 5},
        {"key": "", "max": 5},
        {"key": "k" * (KEY_CHARS_MAX + 1), "max": 5},
        {"key": "k", "max": 5, "min": 1},
        {"key": "k", "max": 5, "note": "x"},
        {"key": "k", "max": 5, "order": ["a", "b"]},
        {"key": "k", "novel": 5, "other": 6},
        {"key": "k", "max": "5"},
        {"key": "k", "max": True},
        {"key": "k", "max": None},
        {"key": "k", "max": 2**53},
        {"key": "k", "max": float("nan")},
        {"key": "k", "max_subtree": -1},
        {"key": "k", "max_lifetime": -0.5},
        {"key": "k", "one_of": "a"},
        {"key": "k", "one_of": [1.5]},
        {"key": "k", "one_of": [None]},
        {"key": "k", "one_of": ["a", "a"]},
        {"key": "k", "one_of": ["a" * (TEXT_CHARS_MAX + 1)]},
        {"key": "k", "one_of": list(range(MEMBERS_MAX + 1))},
        {"key": "k", "prefix": ""},
        {"key": "k", "prefix": 7},
        {"key": "k", "prefix": "a/../b"},
        {"key": "k", "rank": "a"},
        {"key": "k", "rank": "a", "order": ["a"]},
        {"key": "k", "rank": "a", "order": ["a", "a"]},
        {"key": "k", "rank": "c", "order": ["a", "b"]},
        {"key": "k", "rank": ["a"], "order": ["a", "b"]},
        {"key": "k", "rank": "a", "order": ["a", 1]},
        {"key": "k", "rank": "a", "order": [str(n) for n in range(33)]},
    ],
)
def test_what_is_no_constraint_is_refused(wire):
    with pytest.raises(Malformed) as raised:
        from_wire(wire)
    assert raised.value.code == "delegation.malformed"


def test_true_and_one_are_two_members_and_five_is_five_however_it_is_written():
    assert from_wire({"key": "k", "one_of": [1, True]}) == OneOf(key="k", members=(1, True))
    assert from_wire({"key": "k", "max": 5.0}) == Max(key="k", bound=5)
    assert type(to_wire(from_wire({"key": "k", "max": 5.0}))["max"]) is int


def test_a_constraint_that_could_not_be_read_again_is_not_made():
    assert made(Max(key="k", bound=5)) == Max(key="k", bound=5)
    with pytest.raises(Malformed, match="cannot be written and read back"):
        made(Unknown(key="k", type="other", canonical=b'{"key":"k","units":5}'))
    with pytest.raises(Malformed):
        made(Unknown(key="k", type="units", canonical=b"[]"))


def test_a_failure_is_a_sentence_with_what_was_got():
    assert Max(key="k", bound=5).failure(6) == "up to 5, got `6`"
    assert Max(key="k", bound=5).failure(None) == "up to 5, got nothing"
    assert OneOf(key="k", members=()).failure("a") == "nothing only, got `a`"
    many = OneOf(key="k", members=tuple("abcde"))
    assert many.failure("z") == "`a`, `b`, `c` and 2 more only, got `z`"
    assert NotOneOf(key="k", members=("a",)).failure("A") == "anything but `a`"
