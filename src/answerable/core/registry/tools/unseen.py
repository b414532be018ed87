"""Find characters that models and parsers read and people do not see, or take for a space.

Laws: characters that Unicode does not render (controls, formats, private and unassigned ones, default ignorables) are
unseen, and so are letters and signs that are drawn blank; a variation selector that only selects how the preceding
picture is drawn is not.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_AS_IT_IS: Final = frozenset("\n\t\r")
_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_BLANK: Final = frozenset(
    # Default ignorables that are letters or marks (DerivedCoreProperties, Default_Ignorable_Code_Point), and the blank
    # braille pattern.
    chr(code)
    for code in (
        0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0,
        *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0),
    )
)  # fmt: skip
_AS_PICTURE: Final = "\ufe0f"


def unseen_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield unseen characters with their index. Line feeds, carriage returns and tabs are left to the caller."""
    if text.isascii() and text.isprintable():
        return
    for at, character in enumerate(text):
        if character in _AS_IT_IS or " " <= character <= "~":
            continue
        if character in _BLANK:
            if character != _AS_PICTURE or at == 0 or unicodedata.category(text[at - 1]) != "So":
                yield at, character
        elif unicodedata.category(character) in _CATEGORIES:
            yield at, character


def odd_spaces_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield characters that look like a space and are not U+0020, with their index."""
    if text.isascii():
        return
    for at, character in enumerate(text):
        if character > "~" and unicodedata.category(character) == "Zs":
            yield at, character
