"""Runs: places without gaps, given away only when the log has taken the entry, and bounded."""

from __future__ import annotations

import pytest

from answerable.core.base64url import to_base64url
from answerable.core.ledger.runs import RUNS_MAX, Run, Runs
from answerable.testing.entropy import SeededEntropy

pytestmark = pytest.mark.requirement("SEAL-05")


def runs() -> Runs:
    return Runs(SeededEntropy("runs").bytes)


def test_places_count_from_nothing_and_each_names_the_leaf_hash_before():
    one = runs()
    first = one.place("m-1")
    assert (first.seq, first.prev, len(first.id)) == (0, "", 16)
    one.taken("m-1", first, b"\x01" * 32)
    assert one.place("m-1") == Run(id=first.id, prev=to_base64url(b"\x01" * 32), seq=1)
    one.taken("m-1", one.place("m-1"), b"\x02" * 32)
    assert one.place("m-1") == Run(id=first.id, prev=to_base64url(b"\x02" * 32), seq=2)


def test_asking_again_gives_the_same_place_until_it_is_taken():
    one = runs()
    assert one.place("m-1") == one.place("m-1") is one.place("m-1")


def test_every_mandate_has_a_run_of_its_own_and_every_opening_others():
    one, another = runs(), Runs(SeededEntropy("another opening").bytes)
    ids = {each.place(mandate).id for each in (one, another) for mandate in ("m-1", "m-2", "")}
    assert len(ids) == 6


def test_past_the_bound_the_run_begun_first_is_forgotten_and_its_mandate_begins_another():
    one = runs()
    first = one.place("m-0")
    one.taken("m-0", first, bytes(32))
    for number in range(1, RUNS_MAX):
        one.place(f"m-{number}")
    assert one.place("m-0").id == first.id, "there is room for all of them"
    one.place("one more")
    again = one.place("m-0")
    assert again.id != first.id
    assert (again.seq, again.prev) == (0, "")
    assert one.place("m-2").seq == 0
    assert one.place(f"m-{RUNS_MAX - 1}").seq == 0
