"""Which known name somebody meant who wrote one that is not known.

A word that looks like a known one is found by its skeleton: as it is read, not as it is coded. Only for advice: a name
that is not known is refused whether or not something looks like it.
"""

from __future__ import annotations

import unicodedata
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

# Letters of other scripts that are drawn like Latin ones (Unicode UTS 39, confusables), of those that no NFKC folds.
_DRAWN_ALIKE: Final = str.maketrans(
    "абсԁеɡһіјκӏмпорԛгѕтυνѡхуᴢαβεικνορτυχωγɩı",
    "abcdeghijklmnopqrstuvwxyzaβeiknoptuxwyii".replace("β", "b"),
)
_READ_ALIKE: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_SAME: Final = str.maketrans("01l5|_.", "oiisi--")
_CLOSE: Final = 0.75
WORD_CHARS_MAX: Final = 128

Likeness = Literal["looks like", "near"]


def skeleton(text: str) -> str:
    """The text as it is read: case, script, digits for letters and separators taken for one another."""
    read = unicodedata.normalize("NFKD", text.casefold()).translate(_DRAWN_ALIKE)
    read = "".join(c for c in read if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    for pair, one in _READ_ALIKE:
        read = read.replace(pair, one)
    return read.translate(_SAME)


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
