"""Nonces that need no memory, on a clock that never goes back."""

from __future__ import annotations

import pytest

from answerable.core.identity.proof.dpop_nonce import NONCE_CHARS, ServerNonces
from answerable.errors import Malformed

pytestmark = pytest.mark.requirement("DPOP-06")

KEY = bytes(range(32))


def nonces(key: bytes = KEY, server: str = "https://gateway.example", seconds: int = 30) -> ServerNonces:
    return ServerNonces(key, server=server, bucket_seconds=seconds)


def test_a_nonce_is_good_for_the_rest_of_its_bucket_and_all_of_the_next() -> None:
    mint = nonces()
    nonce = mint.current(3_000.0)
    assert len(nonce) == NONCE_CHARS
    for at in (3_000.0, 3_029.9, 3_030.0, 3_059.9):
        assert mint.until(nonce, at) == 3_060.0
    for at in (2_999.9, 2_970.0, 3_060.0, 10_000.0):
        assert mint.until(nonce, at) is None, "neither before its time nor after"


def test_all_processes_with_the_key_have_the_same_nonces_and_nobody_else() -> None:
    nonce = nonces().current(3_000.0)
    assert nonces().until(nonce, 3_001.0) is not None
    assert nonces(key=KEY[::-1]).until(nonce, 3_001.0) is None
    assert nonces(server="https://other.example").until(nonce, 3_001.0) is None
    assert nonces(seconds=31).until(nonce, 3_001.0) is None


@pytest.mark.parametrize("offered", ["", "A" * 22, "é" * 22, "\ud800", "x" * 10_000])
def test_what_is_no_nonce_is_never_good(offered: str) -> None:
    assert nonces().until(offered, 3_000.0) is None


def test_a_changed_nonce_is_not_good() -> None:
    nonce = nonces().current(3_000.0)
    for changed in (nonce[:-1], nonce + "A", nonce.swapcase(), " " + nonce):
        assert nonces().until(changed, 3_000.0) is None


def test_nonces_of_neighbouring_buckets_differ() -> None:
    assert len({nonces().current(30.0 * bucket) for bucket in range(1_000)}) == 1_000


@pytest.mark.parametrize(("key", "seconds"), [(KEY[1:], 30), (KEY, 4), (KEY, 301)])
def test_a_short_key_or_an_odd_period_is_refused(key: bytes, seconds: int) -> None:
    with pytest.raises(Malformed) as told:
        nonces(key=key, seconds=seconds)
    assert told.value.code == "dpop.limits"


def test_the_key_is_not_shown() -> None:
    assert repr(nonces()) == "ServerNonces()"
