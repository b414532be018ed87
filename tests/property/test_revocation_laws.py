"""Laws of descent: whoever ends an ancestor ends all below it, in every register, and nobody beside it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.sqlite import SqliteStore, SqliteTokenRegister
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.mandate.status_list import StatusList, packed, unpacked, with_status
from answerable.ports.token_register import TokenRegister
from answerable.testing.contracts.token_register import sample_token
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh

# The parent of each token is one before it, or none.
FORESTS = st.lists(st.integers(min_value=0), min_size=1, max_size=30).map(
    lambda drawn: [draw % (number + 1) - 1 for number, draw in enumerate(drawn)]
)


def below(forest: list[int], chosen: set[int]) -> set[int]:
    found = set(chosen)
    for number, parent in enumerate(forest):
        if parent in found:
            found.add(number)
    return found


def check(register: TokenRegister, forest: list[int], chosen: set[int]) -> None:
    places = register.take_places(len(forest))
    register.add(
        sample_token(f"t-{number}", place=place, parent=f"t-{parent}" if parent >= 0 else "")
        for number, (parent, place) in enumerate(zip(forest, places, strict=True))
    )
    before = StatusList(bits=1, statuses=register.statuses(1))
    expected = below(forest, chosen)
    assert register.end([RevocationTarget("token", f"t-{one}") for one in chosen]) == len(expected)
    after = StatusList(bits=1, statuses=register.statuses(1))
    for number, place in enumerate(places):
        assert register.has_ended(f"t-{number}") == (number in expected)
        assert (before.status(place.index), after.status(place.index)) == (0, int(number in expected))


@pytest.mark.requirement("REVOKE-08")
@given(forest=FORESTS, data=st.data())
def test_ending_any_ancestors_ends_exactly_what_derives_from_them(forest, data):
    chosen = data.draw(st.sets(st.integers(0, len(forest) - 1), min_size=1))
    check(fresh(SqliteTokenRegister, entropy=SeededEntropy("places")), forest, chosen)
    with TemporaryDirectory() as folder:
        store = SqliteStore.open(Path(folder) / "registers.db")
        try:
            check(SqliteTokenRegister(store, entropy=SeededEntropy("places")), forest, chosen)
        finally:
            store.close()


@pytest.mark.requirement("REVOKE-09")
@given(
    bits=st.sampled_from([1, 2, 4, 8]),
    statuses=st.binary(min_size=1, max_size=200),
    data=st.data(),
)
def test_a_list_is_read_back_as_it_was_and_setting_one_place_changes_no_other(bits, statuses, data):
    before = StatusList(bits=bits, statuses=statuses)
    assert unpacked(packed(before)) == before
    index = data.draw(st.integers(0, before.size - 1))
    status = data.draw(st.integers(0, (1 << bits) - 1))
    changed = bytearray(statuses)
    with_status(changed, bits=bits, indexes=[index], status=status)
    after = StatusList(bits=bits, statuses=bytes(changed))
    expected = [status if place == index else before.status(place) for place in range(before.size)]
    assert [after.status(place) for place in range(after.size)] == expected
