r"""Make untrusted text safe to display: characters that are invisible, or would display as something else, are escaped.

Laws: the result is printable on one line; two different texts give different results; plain text is unchanged. What
Unicode defines as invisible (controls, bidirectional marks, tags, default-ignorable characters, blank fillers, more
combining marks on one letter than a language needs) becomes `\u{CODE}`. Source: Unicode Standard Annex 9 and Technical
Standard 39, and the Trojan Source attack (CVE-2021-42574).
"""

from __future__ import annotations

import unicodedata
from typing import Final

MARKS_MAX: Final = 3
"""Combining marks on one letter that are kept unescaped."""

# Letters and marks by category that are nevertheless default-ignorable (Unicode's DerivedCoreProperties).
_BLANK: Final = frozenset(
    {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0}
) | frozenset(range(0xFE00, 0xFE10))
_TAGS_FROM: Final = 0xE0000


def visible(text: str) -> str:
    """Return the text in the form shown to a person who decides by it."""
    if text.isascii() and text.isprintable() and "\\u{" not in text:
        return text
    parts: list[str] = []
    marks = 0
    for position, char in enumerate(text):
        marks = marks + 1 if unicodedata.combining(char) else 0
        # A backslash that begins a look-alike of our escapes is escaped itself, so that none can be forged.
        forged = char == "\\" and text.startswith("\\u{", position)
        parts.append(f"\\u{{{ord(char):x}}}" if forged or marks > MARKS_MAX or _hides(char) else char)
    return "".join(parts)


def hides_something(text: str) -> bool:
    """Whether anything of the text had to be escaped."""
    return visible(text) != text


def _hides(char: str) -> bool:
    code = ord(char)
    return not char.isprintable() or code in _BLANK or code >= _TAGS_FROM
