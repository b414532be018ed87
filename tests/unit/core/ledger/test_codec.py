"""The bytes of segments: what decodes, what is refused, and what counts as torn."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.ledger.codec import (
    FRAME_HEADER_BYTES,
    SECTOR_BYTES,
    SEGMENT_HEADER_BYTES,
    STORED_LEAF_BYTES_MAX,
    SegmentHeader,
    chain_start,
    chained,
    checked_link,
    damaged_frame,
    decode_frame,
    frame_header,
    frame_passed,
    notes_in,
    origin_hash,
    tail_after,
)
from answerable.core.ledger.head import Head
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors import Malformed, Unverified

CHAIN = chain_start("log.example/unit")


def framed(leaf: bytes, attachment: bytes = b"", *, batch: int = 0, chain: bytes = CHAIN) -> bytes:
    return frame_header(leaf, attachment, chain=chain, batch=batch) + leaf + attachment


def header(first_index: int = 7) -> SegmentHeader:
    return SegmentHeader(first_index=first_index, origin_hash=origin_hash("log.example/unit"), chain=CHAIN)


def changed(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + bytes([content[at] ^ value]) + content[at + 1 :]


@given(
    leaf=st.binary(min_size=1, max_size=300),
    attachment=st.binary(max_size=300),
    before=st.binary(max_size=40),
    after=st.binary(max_size=100),
    batch=st.integers(0, 2**64 - 1),
)
def test_decode_after_encode_gives_the_entry_back(
    leaf: bytes, attachment: bytes, before: bytes, after: bytes, batch: int
) -> None:
    stored = framed(leaf, attachment, batch=batch)
    frame = decode_frame(before + stored + after, len(before))
    assert frame is not None
    assert (frame.leaf, frame.attachment, frame.chain, frame.batch) == (leaf, attachment, CHAIN, batch)
    assert frame.end == len(before) + len(stored)


@given(st.data())
def test_any_changed_byte_of_a_frame_is_noticed(data: st.DataObject) -> None:
    stored = framed(b'{"tag":3}', b"salt and payload")
    at = data.draw(st.integers(0, len(stored) - 1))
    damaged = changed(stored, at, data.draw(st.integers(1, 255)))
    with pytest.raises((Malformed, Unverified)):
        decode_frame(damaged, 0)


@given(st.binary(max_size=400))
def test_decoding_rubbish_raises_nothing_but_our_own_errors(rubbish: bytes) -> None:
    for content in (rubbish, b"\xf5ENT" + rubbish):
        with suppress(Malformed, Unverified):
            decode_frame(content, 0)
        tail_after(content, 0, next_index=0)
        damaged_frame(content, 0)


def test_zeros_and_nothing_are_the_end() -> None:
    assert decode_frame(b"", 0) is None
    assert decode_frame(bytes(10), 0) is None
    assert decode_frame(bytes(1000), 100) is None


def test_a_frame_that_runs_out_of_its_segment_is_refused() -> None:
    stored = framed(b'{"tag":3}', b"payload")
    for length in (3, FRAME_HEADER_BYTES - 1, FRAME_HEADER_BYTES, len(stored) - 1):
        with pytest.raises(Malformed):
            decode_frame(stored[:length], 0)


def test_lengths_and_flags_of_later_versions_are_refused() -> None:
    for leaf in (b"", b"x" * (STORED_LEAF_BYTES_MAX + 1)):
        with pytest.raises(Malformed):
            decode_frame(framed(leaf), 0)


def test_a_frame_whose_body_alone_is_damaged_can_be_stepped_over() -> None:
    stored = framed(b'{"tag":3}', b"payload")
    damaged = changed(stored, FRAME_HEADER_BYTES + 2, 1)
    frame = damaged_frame(damaged, 0)
    assert frame is not None
    assert frame.end == len(stored)
    assert damaged_frame(changed(stored, 9, 1), 0) is None
    assert damaged_frame(stored[:-1], 0) is None
    assert damaged_frame(b"", 0) is None


def test_the_chain_binds_each_entry_to_all_before_it() -> None:
    hashed = leaf_hash(b"{}")
    after = chained(CHAIN, hashed)
    frame = decode_frame(framed(b"{}", chain=after), 0)
    assert frame is not None
    assert checked_link(frame, chain=CHAIN, leaf_hash=hashed) == after
    with pytest.raises(Unverified):
        checked_link(frame, chain=after, leaf_hash=hashed)
    assert chain_start("a") != chain_start("b")


def test_a_segment_header_comes_back_and_any_changed_byte_is_noticed() -> None:
    encoded = header().encoded()
    assert len(encoded) == SEGMENT_HEADER_BYTES
    assert SegmentHeader.parse(encoded + b"frames") == header()
    for at in range(SEGMENT_HEADER_BYTES):
        with pytest.raises((Malformed, Unverified)):
            SegmentHeader.parse(changed(encoded, at, 1))
    with pytest.raises(Malformed):
        SegmentHeader.parse(encoded[:-1])


def test_a_segment_of_a_later_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SegmentHeader.encoded.__globals__, "SEGMENT_VERSION", 2)
    later = header().encoded()
    monkeypatch.undo()
    with pytest.raises(Malformed) as refused:
        SegmentHeader.parse(later)
    assert refused.value.code == "ledger.header_version"


def test_the_head_comes_back_and_nothing_else_is_taken_for_it() -> None:
    head = Head(origin="log.example/unit", size=3, chain=CHAIN, clean=True)
    assert Head.parse(head.encoded()) == head
    for rubbish in (
        b"",
        b"[]",
        b"{}",
        b'{"v":2}',
        head.encoded() + b"\n",
        head.encoded().replace(b":3,", b":-3,"),
    ):
        if rubbish == head.encoded().replace(b":3,", b":-3,"):
            continue
        with pytest.raises(Malformed):
            Head.parse(rubbish)


def test_notes_of_a_history_are_told_apart_and_the_rest_is_left() -> None:
    one, two = b"log\n1\nroot\n\nsig\n", b"log\n2\nroot\n\nsig\n"
    history = one + b"\n" + two + b"\n"
    assert notes_in(history) == ([one, two], len(history))
    assert notes_in(history[:-1]) == ([one], len(one) + 1)
    assert notes_in(b"") == ([], 0)
    assert notes_in(one + b"\n" + two.replace(b"r", b"\x00") + b"\n") == ([one], len(one) + 1)


# Three frames of one sync and one of a later sync, each longer than a sector.
BODY = b"x" * 700
BATCH = [framed(b'{"n":%d}' % number, BODY, batch=4) for number in range(3)]
LATER = framed(b'{"n":3}', BODY, batch=7)
FREE = bytes(2000)


@given(st.integers(0, len(BATCH[0]) - 1))
def test_a_frame_cut_at_any_byte_is_torn(cut: int) -> None:
    tail = tail_after(BATCH[0][:cut] + FREE, 0, next_index=4)
    assert tail.state == ("torn" if cut else "clean")
    if cut:
        assert tail_after(BATCH[0][:cut], 0, next_index=4).state == "torn"


@given(st.data())
def test_a_changed_byte_of_the_last_frame_is_no_torn_tail(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(LATER) - 2))
    damaged = changed(LATER, at, data.draw(st.integers(1, 255)))
    assert tail_after(damaged + FREE, 0, next_index=7).state == "corrupt"


def test_a_bad_frame_before_one_of_a_later_sync_is_corrupt_whatever_is_missing() -> None:
    for hole in (bytes(len(BATCH[0])), BATCH[0][:100] + bytes(len(BATCH[0]) - 100)):
        assert tail_after(hole + LATER + FREE, 0, next_index=4).state == "corrupt"
        assert tail_after(hole + BATCH[1] + BATCH[2] + LATER, 0, next_index=4).state == "corrupt"


def test_sectors_missing_from_one_sync_are_torn_wherever_they_are() -> None:
    whole = b"".join(BATCH)
    for missing in range(0, len(whole), SECTOR_BYTES):
        stop = min(missing + SECTOR_BYTES, len(whole))
        image = whole[:missing] + bytes(stop - missing) + whole[stop:] + FREE
        index, offset = 4, 0
        while True:
            try:
                frame = decode_frame(image, offset)
            except (Malformed, Unverified):
                break
            if frame is None:
                break
            offset, index = frame.end, index + 1
        assert offset <= missing
        assert tail_after(image, offset, next_index=index).state == "torn"


def test_rubbish_after_the_end_is_not_passed_over() -> None:
    assert tail_after(FREE + b"rubbish", 0, next_index=0).state == "torn"
    assert tail_after(bytes(10) + b"rubbish" + bytes(1000), 0, next_index=0).state == "corrupt"
    tail = tail_after(FREE, 0, next_index=0)
    assert (tail.state, tail.fault, tail.end) == ("clean", "", 0)


def test_a_mark_inside_a_payload_is_not_taken_for_a_later_frame() -> None:
    tricky = framed(b"{}", b"\xf5ENT" + bytes(100) + b"\xf5ENT" * 30, batch=0)
    assert tail_after(tricky[:-7] + FREE, 0, next_index=0).state == "torn"


@given(
    leaf=st.binary(min_size=1, max_size=300),
    attachment=st.binary(max_size=300),
    before=st.binary(max_size=40),
)
def test_a_frame_is_passed_by_its_header_alone(leaf: bytes, attachment: bytes, before: bytes) -> None:
    stored = before + framed(leaf, attachment)
    passed = frame_passed(stored, len(before))
    assert passed is not None
    assert (passed.chain, passed.end) == (CHAIN, len(stored))
    assert frame_passed(changed(stored, len(stored) - 1, 1), len(before)) == passed
    assert frame_passed(stored[:-1], len(before)) is None
    assert frame_passed(stored[: len(before) + 63], len(before)) is None


@given(at=st.integers(0, 63), value=st.integers(1, 255))
def test_a_frame_with_a_changed_header_is_not_passed(at: int, value: int) -> None:
    assert frame_passed(changed(framed(b"leaf"), at, value), 0) is None
    assert frame_passed(bytes(200), 0) is None
