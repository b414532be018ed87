"""Detect resource names that some reader could take for another name, before a prefix or a ban is applied to them.

Laws: this module never decodes, folds or cleans a name, since the system that acts on the name may do so differently; a
name that some reader could turn into another one is called tricky; a tricky name is never within a prefix and never
outside a ban.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_PERCENT: Final = re.compile(r"%(.{0,2})", re.DOTALL)
# Harmless escapes: printable ASCII that is neither a separator, nor part of a dot segment, nor a further escape. Octets
# from 0x80 up are excluded: some readers take `%c0%ae` for a full stop.
_HARMLESS: Final = frozenset(
    f"{octet:02x}" for octet in range(0x20, 0x7F) if chr(octet) not in "./\\%;?#&:@=+"
)
_SEGMENT_END: Final = "/"


def trick_in(text: str) -> str | None:
    """Return what makes a name tricky, as words that follow `has`, or None for a plain name."""
    if not text.isascii():
        if unicodedata.normalize("NFC", text) != text:
            return "letters composed in more than one way (not NFC)"
        for character in text:
            if unicodedata.category(character)[0] == "C" or unicodedata.category(character) in ("Zl", "Zp"):
                return "invisible or control characters"
        if unicodedata.normalize("NFKC", text) != text:
            return "characters that stand for others"
        if mixes_scripts(text):
            return "letters of several scripts"
    elif not text.isprintable():
        return "control characters"
    if "\\" in text:
        return "a backslash"
    if any(found[1].lower() not in _HARMLESS for found in _PERCENT.finditer(text)):
        return "escapes that may hide a separator"
    if any(_climbs(segment) for segment in re.split(r"[/?#]", text)):
        return "dot segments"
    return None


def _climbs(segment: str) -> bool:
    """Whether a segment could be read as `.` or `..`: some readers first drop what follows `;`, others trailing spaces
    and dots."""
    plain = segment.partition(";")[0]
    return bool(segment) and not plain.strip(". ")


def mixes_scripts(text: str) -> bool:
    """Whether the text contains letters of more than one script, which can look alike."""
    scripts = {
        unicodedata.name(character, "UNKNOWN").split(" ")[0]
        for character in text
        if unicodedata.category(character)[0] == "L"
    }
    return len(scripts) > 1


def lies_under(prefix: str, text: str) -> bool:
    """Whether `text` lies under `prefix` at a segment boundary: `a/b` is under `a`, `ab` is not.

    A prefix that ends in anything but a letter, mark or digit, such as `case-`, is its own boundary.
    """
    if not text.startswith(prefix):
        return False
    rest = text[len(prefix) :]
    goes_on = unicodedata.category(prefix[-1])[0] in "LMN"
    return not rest or not goes_on or rest.startswith(_SEGMENT_END)


def folded(text: str) -> str:
    """Fold names that differ only in case, in Unicode form, or in leading and trailing spaces and dots, which some
    systems drop, to one form. Use for bans only, never to permit."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip(" .")
