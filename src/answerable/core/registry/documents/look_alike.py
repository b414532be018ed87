"""Suggest the known name that a writer probably meant by an unknown one.

A look-alike is found by its skeleton: compared by how text is drawn, not how it is encoded. Suggestions are advice
only: an unknown name is refused whether or not it resembles another.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

# Letters of other scripts, and hyphens, that look like these (Unicode UTS 39, confusables), after case folding.
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
    """Reduce a text to how it looks: case, script, digits for letters, and separators are unified."""
    read = text.casefold()
    if not read.isascii():
        # ASCII letters need neither the mapping nor the removal of characters.
        read = unicodedata.normalize("NFKD", read).translate(_DRAWN_ALIKE)
        read = "".join(c for c in read if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    for pair, one in _READ_ALIKE:
        read = read.replace(pair, one)
    return read.translate(_SAME)


def disguised(text: str) -> str:
    """Return the first look-alike letter of another script, or of another width, in a word that also has plain ASCII
    letters; empty if there is none. Such words are not typed by accident."""
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
    """Return the known name that a word looks like, or is similar to; None if there is none."""
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
    """Whether the two differ by one letter added, removed, changed or swapped with its neighbour."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (len(a) > 1 and a[:2] == b[1::-1] and a[2:] == b[2:])
