"""Claims about narrowing arguments: the same or less, never another and never more."""

from __future__ import annotations

import pytest

from answerable.core.decision.narrowing import narrowed_arguments, same
from answerable.core.decision.obligation import duties_of
from answerable.errors import Refused

pytestmark = pytest.mark.requirement("OBL-04")


def narrowed(arguments, *obligations):
    return narrowed_arguments(duties_of(obligations).narrow, arguments)


@pytest.mark.parametrize(
    ("obligation", "asked", "given"),
    [
        ("modify:a<=10", 11, 10),
        ("modify:a<=10", 10, 10),
        ("modify:a<=10", -5, -5),
        ("modify:a<=-1", 3, -1),
        ("modify:a<=10.5", 11, 10),
        ("modify:a<=10.5", 10.75, 10.5),
        ("modify:a<=10", 9.5, 9.5),
        ("modify:a<=12.50", "12.51", "12.50"),
        ("modify:a<=12.50", "12.5", "12.5"),
        ("modify:a=true", None, True),
        ("modify:a=true", False, True),
        ("modify:a=5", None, 5),
        ("modify:a=5", 9, 5),
        ("modify:a=5", 5, 5),
        ('modify:a="eu"', None, "eu"),
        ('modify:a="eu"', "eu", "eu"),
        ('modify:a=["x"]', ["y", "x"], ["x"]),
        ('modify:a in ["x","y"]', "y", "y"),
        ('modify:a in ["x","y"]', ["z", "y", "y"], ["y", "y"]),
        ("modify:a in [1,2]", 2, 2),
        ("modify:a in [true]", True, True),
    ],
)
def test_what_is_too_much_becomes_what_is_allowed_and_the_rest_stays(obligation, asked, given):
    arguments = {"other": "stays", **({} if asked is None else {"a": asked})}
    result = narrowed(arguments, obligation)
    assert same(result, {"other": "stays", "a": given})
    assert same(narrowed(result, obligation), result)


@pytest.mark.parametrize(
    ("obligation", "asked"),
    [
        ("modify:a<=10", None),
        ("modify:a<=10", True),
        ("modify:a<=10", "eleven"),
        ("modify:a<=10", "1e1"),
        ("modify:a<=10", " 5"),
        ("modify:a<=10", [5]),
        ("modify:a=5", 4),
        ("modify:a=5", 5.5),
        ("modify:a=5", "5"),
        ("modify:a=1", True),
        ("modify:a=true", 1),
        ("modify:a=true", "false"),
        ('modify:a="eu"', "us"),
        ('modify:a="eu"', ""),
        ('modify:a=["x","y"]', ["x"]),
        ('modify:a=["x"]', "x"),
        ('modify:a in ["x"]', "y"),
        ('modify:a in ["x"]', ["y"]),
        ('modify:a in ["x"]', []),
        ('modify:a in ["x"]', None),
        ("modify:a in [1]", True),
        ("modify:a in [0]", False),
        ('modify:a in ["x"]', {"x": 1}),
    ],
)
def test_what_would_become_more_or_something_else_is_refused(obligation, asked):
    with pytest.raises(Refused) as no:
        narrowed({} if asked is None else {"a": asked}, obligation)
    assert no.value.code == "obligation.unfulfillable"
    assert "eleven" not in no.value.message


@pytest.mark.requirement("OBL-02")
def test_of_several_bounds_the_least_holds_in_whatever_order():
    assert narrowed({"a": 9000}, "modify:a<=5000", "modify:a<=700") == {"a": 700}
    assert narrowed({"a": ["x", "y", "z"]}, 'modify:a in ["x","y"]', 'modify:a in ["y","z"]') == {"a": ["y"]}


@pytest.mark.requirement("OBL-02")
@pytest.mark.parametrize(
    ("asked", "obligations"),
    [
        (9000, ("modify:a=10", "modify:a<=5")),
        (9000, ("modify:a=10", "modify:a=5")),
        (True, ("modify:a=true", "modify:a=false")),
        (9000, ("modify:a=10", "modify:a in [20]")),
    ],
)
def test_bounds_that_cannot_all_hold_are_refused(asked, obligations):
    with pytest.raises(Refused) as no:
        narrowed({"a": asked}, *obligations)
    assert no.value.code in ("obligation.conflict", "obligation.unfulfillable")


def test_truth_is_not_one_and_lists_are_compared_member_by_member():
    assert not same(True, 1)
    assert not same({"a": [True]}, {"a": [1]})
    assert not same([1], [1, 1])
    assert not same({"a": 1}, {"b": 1})
    assert same({"a": [1, "x"]}, {"a": [1.0, "x"]})
    assert not same([1], {"0": 1})
