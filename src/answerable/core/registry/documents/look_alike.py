"""Which known name somebody meant who wrote one that is not known.

A word that looks like a known one is found by its skeleton: as it is read, not as it is coded. Only for advice: a name
that is not known is refused whether or not something looks like it.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

# Letters of other scripts, and hyphens, that are drawn like these (Unicode UTS 39, confusables), after case folding.
_DRAWN_ALIKE: Final = {
    0x0131: "i", 0x0261: "g", 0x0269: "i", 0x028B: "u", 0x03B1: "a", 0x03B2: "b", 0x03B3: "y", 0x03B5: "e",
    0x03B9: "i", 0x03BA: "k", 0x03BD: "v", 0x03BF: "o", 0x03C1: "p", 0x03C4: "t", 0x03C5: "u", 0x03C7: "x",
    0x03C9: "w", 0x0430: "a", 0x0432: "b", 0x0433: "r", 0x0435: "e", 0x043A: "k", 0x043C: "m", 0x043D: "h",
    0x043E: "o", 0x0440: "p", 0x0441: "c", 0x0442: "t", 0x0443: "y", 0x0445: "x", 0x0455: "s", 0x0456: "i",
    0x0458: "j", 0x0475: "v", 0x04BB: "h", 0x04CF: "l", 0x0501: "d", 0x051B: "q", 0x051D: "w", 0x057D: "u",
    0x2010: "-", 0x2011: "-", 0x2012: "-", 0x2013: "-", 0x2212: "-",
}  # fmt: skip
_READ_ALIKE: Final = (("rn", "m"), ("vv", "w"))
_SAME: Final = str.maketrans("01l5|_.", "oiisi--")
_CLOSE: Final = 0.75
WORD_CHARS_MAX: Final = 128

_WORD: Final = re.compile(r"\w+")
_PLAIN: Final = re.compile(r"[A-Za-z]")

Likeness = Literal["looks like", "near"]


def skeleton(text: str) -> str:
    """The text as it is read: case, script, digits for letters and separators taken for one another."""
    read = text.casefold()
    if not read.isascii():
        # Of plain letters none is drawn as another one, and nothing of them goes away.
        read = unicodedata.normalize("NFKD", read).translate(_DRAWN_ALIKE)
        read = "".join(c for c in read if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    for pair, one in _READ_ALIKE:
        read = read.replace(pair, one)
    return read.translate(_SAME)


def disguised(text: str) -> str:
    """The first letter of another script, or of another width, in a word with plain ones that it is drawn like; empty
    where there is none. Nobody writes such a word by hand."""
    for found in () if text.isascii() else _WORD.finditer(text):
        word = found[0]
        if word.isascii() or not _PLAIN.search(word):
            continue
        for character in word:
            like = unicodedata.normalize("NFKC", character)
            if not character.isascii() and (ord(character.casefold()[0]) in _DRAWN_ALIKE or like.isascii()):
                return character
    return ""


def meant(word: str, known: Iterable[str]) -> tuple[Likeness, str] | None:
    """The known name that a word looks like, or is near; None when there is none."""
    names = sorted(known)
    word = word[:WORD_CHARS_MAX]
    read = skeleton(word)
    for name in names:
        if name != word and skeleton(name) == read:
            return "looks like", name
    close = get_close_matches(word, names, n=1, cutoff=_CLOSE) or [
        name for name in names if _one_apart(word, name)
    ]
    return ("near", close[0]) if close else None


def _one_apart(one: str, other: str) -> bool:
    """Whether one letter added, left out, changed or swapped with its neighbour makes the one the other."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (len(a) > 1 and a[:2] == b[1::-1] and a[2:] == b[2:])
