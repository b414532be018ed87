"""What is read of a Workload API's answers, and how long is waited for the next."""

from __future__ import annotations

import pytest

from answerable.adapters.workload_api_client.calls import (
    CERTIFICATES_MAX,
    RETRY_SECONDS_MAX,
    certificates,
    retry_seconds,
)
from answerable.errors import Malformed
from tests.worlds.federation import Authority


def test_certificates_in_a_row_are_told_apart():
    first, second = (Authority(name).der for name in ("a.example", "b.example"))
    assert certificates(b"") == ()
    assert certificates(first + second) == (first, second)
    assert certificates(b"\x30\x00\x30\x81\x01a") == (b"\x30\x00", b"\x30\x81\x01a")


@pytest.mark.parametrize(
    "row",
    [
        b"\x31\x00",
        b"\x30",
        b"\x30\x05abc",
        b"\x30\x80",
        b"\x30\x85\x01\x01\x01\x01\x01",
        b"\x30\x82\x01",
        b"\x30\x00x",
    ],
)
def test_what_is_no_row_of_certificates_is_refused(row):
    with pytest.raises(Malformed) as told:
        certificates(row)
    assert told.value.code == "workload_api.der"


def test_a_row_has_an_end():
    assert len(certificates(b"\x30\x00" * CERTIFICATES_MAX)) == CERTIFICATES_MAX
    with pytest.raises(Malformed):
        certificates(b"\x30\x00" * (CERTIFICATES_MAX + 1))


def test_pauses_grow_to_a_bound():
    assert all(0.5 * 2**n <= retry_seconds(n) <= 2**n for n in range(5))
    assert all(RETRY_SECONDS_MAX / 2 <= retry_seconds(n) <= RETRY_SECONDS_MAX for n in (6, 60, 6_000))
