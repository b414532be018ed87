"""Parse the elements of C2SP texts: lines, numbers and base64, each in canonical spelling."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final

from answerable.core.tlog.merkle import SIZE_MAX
from answerable.errors import shown
from answerable.errors.codes.tlog import NOTE_CONTROL, NOTE_NEWLINE, NOTE_UTF8, TLOG_BASE64, TLOG_DECIMAL

_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,19}")


def require_text(text: bytes) -> str:
    """Decode a note text. Raises Malformed: not UTF-8, a control character, no final newline."""
    control = _CONTROL.search(text)
    if control:
        raise NOTE_CONTROL(f"control character in note: at byte {control.start()}")
    if not text.endswith(b"\n"):
        raise NOTE_NEWLINE()
    try:
        return text.decode()
    except UnicodeDecodeError as fault:
        raise NOTE_UTF8(f"note is not utf-8: at byte {fault.start}") from None


def base64_decoded(text: str, *, what: str) -> bytes:
    """Decode standard base64 in canonical spelling (RFC 4648, section 4). Raises Malformed if not, or empty.

    Spare bits and stray characters are refused, so that no two texts represent the same bytes.
    """
    try:
        decoded = b64decode(text, validate=True)
    except ValueError:
        decoded = b""
    if not decoded or b64encode(decoded).decode() != text:
        raise TLOG_BASE64(f"{what} is not canonical base64: {shown(text)}")
    return decoded


def decimal(text: str, *, what: str) -> int:
    """Read an ASCII decimal without leading zeros, at most 2**64 - 1. Raises Malformed."""
    number = int(text) if _DECIMAL.fullmatch(text) else -1
    if not 0 <= number <= SIZE_MAX:
        raise TLOG_DECIMAL(f"{what} is not a number below 2**64: {shown(text)}")
    return number
