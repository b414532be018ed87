"""Attacks on the smallest pieces: other spellings of the same number, bytes or line."""

from __future__ import annotations

from functools import partial

from answerable.core.tlog.merkle import SIZE_MAX
from answerable.core.tlog.text import base64_decoded, decimal, require_text
from tests.worlds.tlog import malformed_code


def test_decimals_have_one_spelling() -> None:
    assert [decimal(text, what="x") for text in ("0", "7", "10", str(SIZE_MAX))] == [0, 7, 10, SIZE_MAX]
    for other in ("", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "1.0", "٣", str(SIZE_MAX + 1), "9" * 5000):
        assert malformed_code(partial(decimal, other, what="x")) == "tlog.decimal"


def test_base64_has_one_spelling() -> None:
    assert base64_decoded("AQID", what="x") == b"\x01\x02\x03"
    for other in ("", "AQID\n", " AQID", "AQI", "AQI=A", "AR==", "AQ", "é", "AQ==AQ==", "\ud800"):
        assert malformed_code(partial(base64_decoded, other, what="x")) == "tlog.base64"


def test_a_text_is_utf8_without_control_characters_and_ends_in_a_newline() -> None:
    assert require_text("è\n\n".encode()) == "è\n\n"
    for text, code in (
        (b"", "note.newline"),
        (b"x", "note.newline"),
        (b"\xff\n", "note.utf8"),
        (b"a\tb\n", "note.control"),
        (b"a\r\n", "note.control"),
    ):
        assert malformed_code(partial(require_text, text)) == code
