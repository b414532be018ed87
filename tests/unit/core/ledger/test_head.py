"""The head file: what parses is what was written, of both versions, and what cannot be is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.canonical import encode, parse
from answerable.core.ledger.head import OPEN_INTENTS_MAX, Head, OpenIntent, SealedAt, head_of
from answerable.errors import Malformed

HASHES = st.binary(min_size=32, max_size=32)


@st.composite
def heads(draw: st.DrawFn) -> Head:
    size = draw(st.integers(1, 2**40))
    sealed = draw(st.integers(1, size))
    entries = sorted(draw(st.sets(st.integers(0, sealed - 1), max_size=5)))
    places = [
        OpenIntent(entry, draw(st.integers(0, entry)), draw(st.integers(128, 2**31))) for entry in entries
    ]
    return Head(
        origin=draw(st.text(min_size=1, max_size=20)),
        size=size,
        chain=draw(HASHES),
        clean=draw(st.booleans()),
        sealed=SealedAt(
            size=sealed,
            chain=draw(HASHES),
            segment=draw(st.integers(0, sealed - 1)),
            offset=draw(st.integers(128, 2**31)),
        ),
        open=tuple(places),
    )


@given(head=heads())
def test_what_is_encoded_parses_back(head: Head) -> None:
    assert Head.parse(head.encoded()) == head


@given(size=st.integers(0, 2**50), chain=HASHES, clean=st.booleans())
def test_a_head_of_version_1_parses_back(size: int, chain: bytes, clean: bool) -> None:
    head = Head(origin="log.example", size=size, chain=chain, clean=clean)
    assert b'"v":1}' in head.encoded()
    assert Head.parse(head.encoded()) == head


@given(head=heads(), data=st.data())
def test_a_changed_byte_gives_another_head_or_none(head: Head, data: st.DataObject) -> None:
    encoded = bytearray(head.encoded())
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    with suppress(Malformed):
        assert Head.parse(bytes(encoded)) != head


SEALED = {"chain": "00" * 32, "offset": 500, "segment": 0, "size": 5}
MEMBERS = {
    "chain": "11" * 32,
    "clean": True,
    "open": [[1, 0, 128], [3, 0, 300]],
    "origin": "log.example",
    "sealed": SEALED,
    "size": 9,
    "v": 2,
}


@pytest.mark.parametrize(
    "change",
    [
        {"v": 3},
        {"v": 1},
        {"size": 4},
        {"size": -1},
        {"size": True},
        {"chain": "11" * 31},
        {"chain": "AA" * 32},
        {"chain": None},
        {"clean": 1},
        {"origin": 7},
        {"other": 1},
        {"sealed": []},
        {"sealed": {**SEALED, "size": 0}},
        {"sealed": {**SEALED, "segment": 5}},
        {"sealed": {**SEALED, "other": 1}},
        {"sealed": {**SEALED, "size": 3}},
        {"open": None},
        {"open": [[3, 0, 300], [1, 0, 128]]},
        {"open": [[1, 0, 128], [1, 0, 128]]},
        {"open": [[1, 2, 128]]},
        {"open": [[5, 0, 128]]},
        {"open": [[1, 0]]},
        {"open": [1]},
        {"open": [[True, 0, 128]]},
    ],
)
def test_a_head_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    assert Head.parse(encode(parse(encode({**MEMBERS})))).size == 9
    with pytest.raises(Malformed) as refused:
        Head.parse(encode({**MEMBERS, **change}))
    assert refused.value.code == "ledger.head"


@pytest.mark.parametrize("encoded", [b"", b"[]", b"{}", b"rubbish", b'{"v":2}', b" " * 5_000_000])
def test_what_is_no_head_is_refused(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        Head.parse(encoded)


def test_with_too_much_open_a_head_tells_where_nothing_is_sealed() -> None:
    sealed = SealedAt(size=2**20, chain=bytes(32), segment=0, offset=128)

    def head(count: int) -> Head:
        return head_of(
            origin="log.example",
            size=2**20,
            chain=bytes(32),
            clean=False,
            sealed=sealed,
            opened=[OpenIntent(entry, 0, 128) for entry in range(count)],
        )

    assert Head.parse(head(OPEN_INTENTS_MAX).encoded()).sealed == sealed
    assert head(OPEN_INTENTS_MAX + 1).sealed is None
