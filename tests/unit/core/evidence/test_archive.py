"""Archives have one spelling, which every zip tool reads."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.evidence import archive
from answerable.core.evidence.archive import encode_archive, parse_archive
from answerable.errors import Malformed

NAMES = st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8})?(\.[a-z]{1,4})?", fullmatch=True)
SAMPLE = {"a": b"one", "entries/7.json": b"{}", "manifest.json": b""}


@given(st.dictionaries(NAMES, st.binary(max_size=200), min_size=1, max_size=8))
def test_what_is_written_is_read_back_by_us_and_by_others(members: dict[str, bytes]) -> None:
    encoded = encode_archive(members)
    assert parse_archive(encoded) == members
    with zipfile.ZipFile(io.BytesIO(encoded)) as other:
        assert other.testzip() is None
        assert {name: other.read(name) for name in other.namelist()} == members


def test_no_bit_of_an_archive_can_be_changed() -> None:
    encoded = encode_archive(SAMPLE)
    for at in range(len(encoded) * 8):
        changed = bytearray(encoded)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(Malformed):
            parse_archive(bytes(changed))


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 400))
def test_rubbish_is_refused_and_nothing_else_happens(rubbish: bytes, at: int, lost: int) -> None:
    encoded = encode_archive(SAMPLE)
    changed = encoded[:at] + rubbish + encoded[at + lost :]
    if changed != encoded:
        with pytest.raises(Malformed):
            parse_archive(changed)


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "C:/x", "a\\b", ".hidden", "Ä", "a" * 101, "a\x00b"],
)
def test_names_cannot_lead_elsewhere(name: str) -> None:
    with pytest.raises(Malformed):
        encode_archive({name: b""})
    if name.isascii():
        forged = io.BytesIO()
        with zipfile.ZipFile(forged, "w") as other:
            other.writestr(name or "x", b"")
        with pytest.raises(Malformed):
            parse_archive(forged.getvalue())


def test_a_zip_bomb_is_refused_unopened() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("a", bytes(10_000_000))
    with pytest.raises(Malformed):
        parse_archive(packed.getvalue())


def test_other_archives_of_the_same_members_are_refused() -> None:
    for comment, order in ((b"hello", sorted(SAMPLE)), (b"", sorted(SAMPLE, reverse=True))):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as other:
            other.comment = comment
            for name in order:
                other.writestr(zipfile.ZipInfo(name), SAMPLE[name])
        with pytest.raises(Malformed):
            parse_archive(packed.getvalue())


def test_sizes_and_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Malformed):
        encode_archive({})
    for bound, value in (("MEMBERS_MAX", 2), ("MEMBER_BYTES_MAX", 2), ("ARCHIVE_BYTES_MAX", 40)):
        encoded = encode_archive(SAMPLE)
        with monkeypatch.context() as patch:
            patch.setattr(archive, bound, value)
            for refused in (lambda: encode_archive(SAMPLE), lambda given=encoded: parse_archive(given)):
                with pytest.raises(Malformed):
                    refused()


def test_a_directory_that_promises_more_than_there_is_is_refused() -> None:
    encoded = encode_archive({"a": b"x"})
    at = encoded.index(b"PK\x01\x02")
    for offset in (20, 24, 42):
        changed = bytearray(encoded)
        struct.pack_into("<I", changed, at + offset, 0xFFFFFFFF)
        with pytest.raises(Malformed):
            parse_archive(bytes(changed))
    with pytest.raises(Malformed):
        parse_archive(b"PK\x05\x06" + bytes(18))
