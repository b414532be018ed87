"""Status lists as strangers hand them over: one reading, bounded, and nothing is valid that is not there."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest

from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.status_list import (
    INVALID,
    STATUSES_BYTES_MAX,
    SUSPENDED,
    StatusList,
    packed,
    reference_of,
    signed_status_list,
    status_list_in,
    unpacked,
    verified_status_list,
    with_status,
)
from answerable.core.mandate.status_places import LIST_BYTES, decoys, drawn_places
from answerable.errors import Broken, Malformed, Refused, Unverified
from answerable.testing.entropy import SeededEntropy
from answerable.testing.samples import signing_key

URI = "https://gateway.example/status/1"
NOW = UnixMillis(1_790_000_000_000)
KEY = signing_key("status")
CLAIMS = {
    "exp": 1_790_000_060,
    "iat": 1_790_000_000,
    "status_list": packed(StatusList(bits=1, statuses=b"\x01\x00")),
    "sub": URI,
    "ttl": 30,
}


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_status_stands_in_the_lowest_bits_first_and_alone(bits):
    statuses = bytearray(4)
    with_status(statuses, bits=bits, indexes=[1], status=INVALID)
    assert statuses == bytes([1 << bits if bits < 8 else 0, 1 if bits == 8 else 0, 0, 0])
    found = unpacked(packed(StatusList(bits=bits, statuses=bytes(statuses))))
    assert [found.status(index) for index in range(found.size)] == [0, 1, *[0] * (found.size - 2)]
    assert found.size == 32 // bits


def test_a_status_that_is_set_again_replaces_the_one_before():
    statuses = bytearray(1)
    with_status(statuses, bits=2, indexes=[3], status=SUSPENDED)
    with_status(statuses, bits=2, indexes=[3], status=INVALID)
    assert StatusList(bits=2, statuses=bytes(statuses)).status(3) == INVALID
    with pytest.raises(Malformed):
        with_status(statuses, bits=2, indexes=[0], status=4)
    with pytest.raises(Malformed):
        with_status(statuses, bits=2, indexes=[4], status=INVALID)


@pytest.mark.parametrize("index", [8, -1, 2**70, True])
def test_a_place_outside_the_list_refuses(index):
    with pytest.raises(Refused) as raised:
        StatusList(bits=1, statuses=b"\x00").status(index)
    assert raised.value.code == "status.out_of_range"


def test_a_bomb_is_not_unpacked():
    bomb = to_base64url(zlib.compress(bytes(256 * STATUSES_BYTES_MAX), 9))
    tracemalloc.start()
    with pytest.raises(Malformed) as raised:
        unpacked({"bits": 1, "lst": bomb})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert raised.value.code == "status.malformed"
    assert peak < 4 * STATUSES_BYTES_MAX


def test_the_largest_list_is_read_and_one_byte_more_is_not():
    whole = zlib.compress(bytes(STATUSES_BYTES_MAX))
    assert unpacked({"bits": 8, "lst": to_base64url(whole)}).size == STATUSES_BYTES_MAX
    with pytest.raises(Malformed):
        unpacked({"bits": 8, "lst": to_base64url(zlib.compress(bytes(STATUSES_BYTES_MAX + 1)))})


STREAM = zlib.compress(b"\x01\x00")


@pytest.mark.parametrize(
    "member",
    [
        None,
        [],
        {"bits": 1},
        {"bits": 3, "lst": to_base64url(STREAM)},
        {"bits": True, "lst": to_base64url(STREAM)},
        {"bits": 1, "lst": ""},
        {"bits": 1, "lst": to_base64url(STREAM) + "="},
        {"bits": 1, "lst": "e N"},
        {"bits": 1, "lst": to_base64url(b"not a stream")},
        {"bits": 1, "lst": to_base64url(STREAM[:-1])},
        {"bits": 1, "lst": to_base64url(STREAM + b"\x00")},
        {"bits": 1, "lst": to_base64url(STREAM + STREAM)},
        {"bits": 1, "lst": to_base64url(zlib.compress(b""))},
        {"bits": 1, "lst": to_base64url(STREAM), "aggregation_uri": 1},
    ],
)
def test_what_is_not_one_whole_list_is_refused(member):
    with pytest.raises(Malformed) as raised:
        unpacked(member)
    assert raised.value.code == "status.malformed"


def test_what_we_sign_is_what_a_reader_finds():
    statuses = StatusList(bits=1, statuses=bytes(range(64)))
    token = signed_status_list(statuses, uri=URI, at=NOW, ttl=30, lifetime_seconds=60, key=KEY)
    found = verified_status_list(token, uri=URI, keys=[KEY.public], now=NOW)
    assert (found.statuses, found.ttl, found.expires_at) == (statuses, 30, NOW // 1000 + 60)


def test_the_fullest_list_of_ours_fits_into_one_token_whatever_its_bits_are():
    noise = SeededEntropy("noise").bytes(LIST_BYTES)
    token = signed_status_list(
        StatusList(bits=1, statuses=noise), uri=URI, at=NOW, ttl=30, lifetime_seconds=60, key=KEY
    )
    assert verified_status_list(token, uri=URI, keys=[KEY.public], now=NOW).statuses.statuses == noise


@pytest.mark.parametrize(("ttl", "lifetime"), [(0, 60), (61, 60), (30, 86_401)])
def test_a_list_is_asked_for_again_while_it_is_good(ttl, lifetime):
    with pytest.raises(Malformed) as raised:
        signed_status_list(
            StatusList(bits=1, statuses=b"\x00"), uri=URI, at=NOW, ttl=ttl, lifetime_seconds=lifetime, key=KEY
        )
    assert raised.value.code == "status.ttl"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sub": "https://gateway.example/status/2"}, "status.uri"),
        ({"exp": NOW // 1000}, "status.expired"),
        ({"iat": NOW // 1000 + 61}, "status.future"),
        ({"iat": None}, "status.malformed"),
        ({"sub": 7}, "status.malformed"),
        ({"ttl": 0}, "status.malformed"),
        ({"ttl": -1}, "status.malformed"),
        ({"exp": "soon"}, "status.malformed"),
        ({"status_list": None}, "status.malformed"),
    ],
)
def test_a_list_that_does_not_answer_the_question_is_refused(change, code):
    with pytest.raises((Malformed, Unverified)) as raised:
        status_list_in({**CLAIMS, **change}, uri=URI, now=NOW)
    assert raised.value.code == code


def test_a_list_without_end_is_good_while_its_time_to_live_is_kept_by_who_has_it():
    claims = {name: value for name, value in CLAIMS.items() if name not in ("exp", "ttl")}
    found = status_list_in(claims, uri=URI, now=NOW)
    assert (found.expires_at, found.ttl) == (0, 0)


def test_a_list_signed_by_somebody_else_is_refused():
    token = signed_status_list(
        StatusList(bits=1, statuses=b"\x00"), uri=URI, at=NOW, ttl=30, lifetime_seconds=60, key=KEY
    )
    with pytest.raises(Unverified) as raised:
        verified_status_list(token, uri=URI, keys=[signing_key("mallory").public], now=NOW)
    assert raised.value.code == "status.key"


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"status_list": {"idx": -1, "uri": URI}},
        {"status_list": {"idx": True, "uri": URI}},
        {"status_list": {"idx": 1}},
        {"status_list": {"idx": 1, "uri": ""}},
    ],
)
def test_a_token_that_names_no_place_is_not_one_without_a_status(status):
    with pytest.raises(Malformed):
        reference_of(status)
    assert reference_of({"status_list": {"idx": 5, "uri": URI}}) == (URI, 5)


def test_places_are_drawn_once_until_none_is_left():
    random = SeededEntropy("places").bytes
    taken = bytearray(8)
    places = drawn_places(taken, 60, random) + drawn_places(taken, 4, random)
    assert sorted(places) == list(range(64))
    with pytest.raises(Broken):
        drawn_places(taken, 1, random)


def test_decoys_differ_in_number_from_list_to_list():
    random = SeededEntropy("decoys").bytes
    counts = {sum(octet.bit_count() for octet in decoys(random)) for _ in range(8)}
    assert len(counts) > 1
