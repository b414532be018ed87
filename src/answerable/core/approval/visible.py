"""Text of others as a person can judge it: whatever would not show, or would show as something else, is spelled out.

Laws: what comes back is printable on one line; two texts that differ come back different; plain text comes back as it
is. What does not show by Unicode's own word (controls, bidirectional marks, tags, what is ignored by default, fillers
that look like nothing, more marks on one letter than a language needs) is `\\u{CODE}`. Source: Unicode Standard Annex 9
and Technical Standard 39, and what is called Trojan Source (CVE-2021-42574).
"""

from __future__ import annotations

import unicodedata
from typing import Final

MARKS_MAX: Final = 3
"""Combining marks on one letter that are shown as they are."""

# Letters and marks by category, and all the same ignored by default (Unicode's DerivedCoreProperties).
_BLANK: Final = frozenset(
    {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0}
) | frozenset(range(0xFE00, 0xFE10))
_TAGS_FROM: Final = 0xE0000


def visible(text: str) -> str:
    """The text as it may be shown to somebody who decides by it."""
    if text.isascii() and text.isprintable() and "\\u{" not in text:
        return text
    parts: list[str] = []
    marks = 0
    for position, char in enumerate(text):
        marks = marks + 1 if unicodedata.combining(char) else 0
        # A backslash that begins what looks like one of ours is spelled out itself, so that none can be forged.
        forged = char == "\\" and text.startswith("\\u{", position)
        parts.append(f"\\u{{{ord(char):x}}}" if forged or marks > MARKS_MAX or _hides(char) else char)
    return "".join(parts)


def hides_something(text: str) -> bool:
    """Whether anything of it had to be spelled out."""
    return visible(text) != text


def _hides(char: str) -> bool:
    code = ord(char)
    return not char.isprintable() or code in _BLANK or code >= _TAGS_FROM
