"""Laws of narrowing: the same or less, and never again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.canonical import JSONValue
from answerable.core.decision.narrowing import narrowed_arguments, same
from answerable.core.decision.obligation import duties_of, obligations_in
from answerable.errors import Malformed, Refused

pytestmark = pytest.mark.requirement("OBL-04")

SCALARS = st.one_of(
    st.integers(-20, 20), st.booleans(), st.sampled_from(["a", "b", "c", "5", "12.50", "-3.1", ""]), st.none()
)
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=4), st.floats(-20, 20), st.dictionaries(st.just("k"), SCALARS)
)
OBLIGATIONS = st.sampled_from(
    [
        "modify:x<=5", "modify:x<=-2", "modify:x<=7.5", "modify:x=3", "modify:x=true", "modify:x=false",
        'modify:x="a"', 'modify:x=["a"]', 'modify:x in ["a","b"]', "modify:x in [1,2,3]", "modify:x in [true,5]",
        "modify:y<=0", 'modify:y in ["c"]',
    ]
)  # fmt: skip


def is_within(narrow: JSONValue, wide: JSONValue) -> bool:
    """Whether one value is the other or less of it; what was not there is less than nothing that a policy names."""
    if wide is None or same(narrow, wide):
        return True
    if isinstance(narrow, bool) and isinstance(wide, bool):
        return True
    if isinstance(narrow, list) and isinstance(wide, list):
        return all(any(same(one, other) for other in wide) for one in narrow)
    if isinstance(narrow, bool) or isinstance(wide, bool):
        return False
    if isinstance(narrow, int | float) and isinstance(wide, int | float):
        return narrow < wide
    return isinstance(narrow, str) and isinstance(wide, str) and float(narrow) < float(wide)


@given(
    obligations=st.lists(OBLIGATIONS, min_size=1, max_size=4, unique=True),
    arguments=st.dictionaries(st.sampled_from(["x", "y", "z"]), VALUES, max_size=3),
)
def test_what_is_narrowed_is_less_and_stays_as_it_is(obligations, arguments):
    narrowings = duties_of(tuple(obligations)).narrow
    try:
        narrowed = narrowed_arguments(narrowings, arguments)
    except Refused:
        return
    _check_narrowed(narrowings, arguments, narrowed)


def _check_narrowed(narrowings, arguments, narrowed):
    assert same(narrowed_arguments(narrowings, narrowed), narrowed)
    assert narrowed.keys() >= arguments.keys()
    for name, value in narrowed.items():
        assert is_within(value, arguments.get(name))
    bounded = {one.argument for one in narrowings}
    assert all(same(narrowed[name], arguments[name]) for name in arguments if name not in bounded)


@pytest.mark.requirement("OBL-01")
@given(text=st.text(st.sampled_from(list('redactmaskmodifylognotify:/;,=<>*?[]"\\~ x1')), max_size=40))
def test_any_text_is_a_list_of_obligations_in_their_one_spelling_or_a_fault(text):
    try:
        found = obligations_in(text)
    except Malformed:
        return
    assert found
    for one in found:
        assert obligations_in(one) == (one,)
    duties_of(found)
