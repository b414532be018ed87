"""Characters that models and parsers read and people do not see, or take for a space.

Laws: what Unicode says is not drawn (controls, formats, private and unassigned ones, what is ignored by default) is
unseen, and so are letters and signs that are drawn as nothing; a sign that only chooses how the picture before it is
drawn is not.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_AS_IT_IS: Final = frozenset("\n\t\r")
_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_BLANK: Final = frozenset(
    # Ignored by default though they are letters or marks (DerivedCoreProperties, Default_Ignorable_Code_Point), and the
    # braille pattern without dots.
    chr(code)
    for code in (
        0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0,
        *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0),
    )
)  # fmt: skip
_AS_PICTURE: Final = "\ufe0f"


def unseen_in(text: str) -> Iterator[tuple[int, str]]:
    """Each with its place in the text. Line feeds, carriage returns and tabs are left to whoever asks."""
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
    """What is taken for a space and is none, each with its place."""
    if text.isascii():
        return
    for at, character in enumerate(text):
        if character > "~" and unicodedata.category(character) == "Zs":
            yield at, character
