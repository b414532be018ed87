"""Laws of asking for less: narrower in what is changed, the same in all else, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.approval.counter_proposal import narrowable_arguments, narrower_arguments
from answerable.core.canonical import encode
from answerable.core.registry.documents.capability import (
    ArgumentMapping,
    Capability,
    ResourceMapping,
    SubjectMapping,
)
from answerable.core.registry.documents.destination import DestinationMapping
from answerable.core.registry.documents.spending import AmountMapping, ReserveMapping, SpendMapping
from answerable.errors import Refused

pytestmark = pytest.mark.requirement("REPLY-05")

NUMBERS = {"amount": ("amount",), "fee": ("payment", "fee"), "rows": ("rows",)}
LISTS = {"to": ("to",), "tags": ("more", "tags")}
PLACES: dict[str, tuple[str, ...]] = {**NUMBERS, **LISTS}
CAPABILITY = Capability(
    name="crm.refund", server="crm", method="tools/call", target="refund", kind="pay", environment="production",
    tier=3, sensitivity="internal", resource=ResourceMapping(type="Case", argument="case"),
    subject=SubjectMapping(type="Customer", argument="customer"),
    arguments=(
        ArgumentMapping(name="case", type="minor_units"),
        ArgumentMapping(name="customer", type="string_set"),
        ArgumentMapping(name="amount", type="integer"),
        ArgumentMapping(name="year", type="integer"),
        ArgumentMapping(name="fee", type="minor_units", pointer="/payment/fee"),
        ArgumentMapping(name="tags", type="string_set", pointer="/more/tags"),
        ArgumentMapping(name="each", type="minor_units", pointer="/lines/*/amount"),
    ),
    destination=DestinationMapping(type="email", arguments=("to",)),
    spending=SpendMapping(
        amount=AmountMapping(argument="amount", currency="EUR"),
        reserves=(ReserveMapping(budget="rows", argument="rows"),),
    ),
)  # fmt: skip

SCALARS = st.one_of(st.integers(-3, 9), st.booleans(), st.none(), st.sampled_from(["a", "b", "c", "5", ""]))
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=4)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=4), TEXTS)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "case": VALUES, "customer": TEXTS, "amount": VALUES, "year": VALUES, "rows": VALUES, "to": VALUES,
        "payment": st.one_of(VALUES, st.fixed_dictionaries({}, optional={"fee": VALUES, "other": VALUES})),
        "more": st.fixed_dictionaries({}, optional={"tags": VALUES}),
        "lines": st.lists(st.fixed_dictionaries({"amount": st.integers(1, 9)}), max_size=2),
        "x": VALUES,
    },
)  # fmt: skip
NAMES = st.sampled_from([*PLACES, "case", "customer", "year", "each", "x", "new", "/payment/fee", "payment"])
CHANGES = st.dictionaries(NAMES, VALUES, max_size=3)


def at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def less(now: Any, was: Any) -> bool:
    """Read apart from the code: a smaller number above zero, or some but not all of a list in its order."""
    if type(was) is int:
        return type(now) is int and 1 <= now <= was - 1
    places = [index for index, one in enumerate(was)]
    chosen: list[int] = []
    for item in now:
        rest = [index for index in places if index > (chosen[-1] if chosen else -1) and was[index] == item]
        if not rest:
            return False
        chosen.append(rest[0])
    return 0 < len(now) < len(was)


@given(arguments=ARGUMENTS, changes=CHANGES)
def test_what_is_proposed_is_less_where_it_is_changed_and_the_same_elsewhere(arguments, changes):
    before = encode(arguments)
    try:
        after = narrower_arguments(CAPABILITY, arguments, changes)
    except Refused:
        return
    finally:
        assert encode(arguments) == before, "what waits is never changed"
    assert encode(after) != before
    assert changes.keys() <= PLACES.keys()
    for name, path in PLACES.items():
        was, now = at(arguments, path), at(after, path)
        assert less(now, was) if name in changes else encode(now) == encode(was)
    assert encode(masked(after)) == encode(masked(arguments))


def masked(arguments: Any) -> Any:
    """All that is no limit."""
    copy = {name: dict(value) if isinstance(value, dict) else value for name, value in arguments.items()}
    for *above, last in PLACES.values():
        inside = at(copy, tuple(above))
        if isinstance(inside, dict) and last in inside:
            inside[last] = "-"
    return copy


@given(arguments=ARGUMENTS)
def test_each_argument_that_is_offered_can_be_less_and_nothing_else_is_offered(arguments):
    for one in narrowable_arguments(CAPABILITY, arguments):
        assert one.name in PLACES
        smaller: Any = one.value - 1 if isinstance(one.value, int) else [*one.value[1:]]
        after = narrower_arguments(CAPABILITY, arguments, {one.name: smaller})
        assert at(after, PLACES[one.name]) == smaller
