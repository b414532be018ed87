"""Leases that only the broker knows."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease import checkout
from answerable.core.lease.checkout import CheckOuts
from answerable.core.lease.name import lease_name
from answerable.errors import Refused

ONE, OTHER = lease_name(bytes(16)), lease_name(bytes(15) + b"\x01")
END = UnixMillis(1_000)


def code_of(asked) -> str:
    with pytest.raises(Refused) as refused:
        asked()
    return refused.value.code


def test_what_is_out_serves_until_its_time_is_up():
    outs: CheckOuts[str] = CheckOuts()
    outs.put(ONE, "kept", END)
    assert outs.serving(ONE, UnixMillis(999)).kept == "kept"
    assert code_of(lambda: outs.serving(ONE, END)) == "lease.gone"
    assert code_of(lambda: outs.serving(OTHER, UnixMillis(0))) == "lease.gone"


def test_a_name_is_out_once_and_is_known_until_it_is_dropped():
    outs: CheckOuts[str] = CheckOuts()
    outs.put(ONE, "kept", END)
    assert code_of(lambda: outs.put(ONE, "other", END)) == "lease.taken"
    outs.end(ONE)
    assert code_of(lambda: outs.put(ONE, "other", END)) == "lease.taken"
    assert outs.names() == (ONE,)
    outs.drop(ONE)
    outs.drop(ONE)
    assert outs.names() == ()
    assert outs.find(ONE) is None
    outs.put(ONE, "other", END)


def test_ending_cuts_once_and_says_how_much():
    outs: CheckOuts[str] = CheckOuts()
    cut: list[int] = []
    out = outs.put(ONE, "kept", END)
    out.cuts += [lambda: cut.append(1), lambda: cut.append(2)]
    assert outs.end(ONE) == 2
    assert cut == [1, 2]
    assert outs.end(ONE) == 0
    assert outs.end(OTHER) == 0
    assert code_of(lambda: outs.serving(ONE, UnixMillis(0))) == "lease.gone"


def test_no_more_than_the_bound_are_out(monkeypatch):
    monkeypatch.setattr(checkout, "LEASES_MAX", 1)
    outs: CheckOuts[str] = CheckOuts()
    outs.put(ONE, "kept", END)
    assert code_of(lambda: outs.put(OTHER, "kept", END)) == "lease.crowd"
