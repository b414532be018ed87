"""Versions that are kept before their target has them: candidates, and given out once they are settled."""

from __future__ import annotations

import pytest

from answerable.errors import Refused
from answerable.testing.clock import ManualClock
from tests.worlds.secret_store import VALUE, put, store_in, value_of


@pytest.mark.requirement("SECRET-06")
def test_a_prepared_version_is_a_candidate_and_given_out_once_it_is_settled(tmp_path):
    clock = ManualClock()
    store = store_in(tmp_path, clock=clock)
    put(store)
    store.prepare("crm", b"the-second-value")
    store.prepare("crm", b"another-second-value")
    assert value_of(store) == VALUE
    found = store.candidates("crm", by="test")
    assert (found.current.text, found.before) == (VALUE.decode(), ())
    assert found.prepared is not None
    assert found.prepared.text == "the-second-value", "a target may know the first one that was kept"
    assert store.watch().found_in(b"x the-second-value x") == ("crm",)
    assert "second-value" not in repr([found, store.listed()])
    clock.advance(1)
    assert store.settle("crm").current.number == 2
    assert value_of(store) == b"the-second-value"
    found = store.candidates("crm", by="test")
    assert found.prepared is None
    assert [one.text for one in found.before] == [VALUE.decode()], "a target that is restored may know it"
    store.prepare("crm", b"the-third-value-of-it")
    store.settle("crm")
    assert [one.text for one in store.candidates("crm", by="test").before] == ["the-second-value"]
    assert store.watch().found_in(VALUE) == (), "older ones are forgotten"
    before = store.listed()
    assert store.settle("crm") == before[0], "where none is prepared nothing changes"


@pytest.mark.requirement("SECRET-06", "SECRET-03")
def test_exposure_ends_with_a_version_that_was_made_after_it_and_with_no_other(tmp_path):
    clock = ManualClock()
    store = store_in(tmp_path, clock=clock)
    put(store)
    store.prepare("crm", b"the-second-value")
    clock.advance(1)
    store.expose("crm", "either of them was seen")
    clock.advance(1)
    assert store.settle("crm").due(clock.now()), "the new one may be what was seen"
    assert store.candidates("crm", by="test").before == (), "what was exposed is forgotten at once"
    store.prepare("crm", b"the-third-value-of-it")
    assert store.settle("crm").due(clock.now()) == ""


@pytest.mark.requirement("SECRET-06")
def test_a_value_that_people_set_takes_the_place_of_one_that_is_prepared(tmp_path):
    store = store_in(tmp_path)
    put(store)
    store.prepare("crm", b"the-second-value")
    store.rotate("crm", b"set-by-hand-at-the-target")
    assert store.listed()[0].prepared_at == 0
    assert store.candidates("crm", by="test").prepared is None
    store.retire("crm")
    for call in (lambda: store.prepare("crm", b"again-another"), lambda: store.candidates("crm", by="x")):
        with pytest.raises(Refused) as retired:
            call()
        assert retired.value.code == "secret.retired"
    put(store, "bait", b"a-planted-one", kind="canary")
    with pytest.raises(Refused) as planted:
        store.prepare("bait", b"another-one")
    assert planted.value.code == "secret.canary"


@pytest.mark.requirement("SECRET-06")
def test_the_state_is_another_whenever_a_secret_is_and_not_when_one_is_used(tmp_path):
    store = store_in(tmp_path)
    states = [store.state()]
    for change in (
        lambda: put(store),
        lambda: store.prepare("crm", b"the-second-value"),
        lambda: store.settle("crm"),
        lambda: store.expose("crm", "seen"),
        lambda: store.retire("crm"),
    ):
        change()
        assert store.state() not in states
        states.append(store.state())
    put(store, "other")
    before = store.state()
    value_of(store, "other")
    assert store.state() == before
