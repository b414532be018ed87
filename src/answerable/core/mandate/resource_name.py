"""Names that could be read as other names than they spell: what to look for before a prefix or a ban is believed.

Laws: nothing is decoded, folded or cleaned here, for whoever acts on the name may do it otherwise; a name that some
reader could turn into another one is called tricky, and a tricky name is never within a prefix and never outside a ban.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_PERCENT: Final = re.compile(r"%(.{0,2})", re.DOTALL)
# What an escape may stand for: printable ASCII that neither separates, nor climbs, nor escapes again. Octets from 0x80
# up are left out: some readers take `%c0%ae` for a full stop.
_HARMLESS: Final = frozenset(
    f"{octet:02x}" for octet in range(0x20, 0x7F) if chr(octet) not in "./\\%;?#&:@=+"
)
_SEGMENT_END: Final = "/"


def trick_in(text: str) -> str | None:
    """What makes a name tricky, after `has`; None for a plain one."""
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
    """Some readers drop what follows `;`, others spaces and dots at the end, before they look for `..`."""
    plain = segment.partition(";")[0]
    return bool(segment) and not plain.strip(". ")


def mixes_scripts(text: str) -> bool:
    """Whether letters of more than one script are in it, so that one may be taken for another."""
    scripts = {
        unicodedata.name(character, "UNKNOWN").split(" ")[0]
        for character in text
        if unicodedata.category(character)[0] == "L"
    }
    return len(scripts) > 1


def lies_under(prefix: str, text: str) -> bool:
    """Whether `text` begins with `prefix` and goes on where a segment ends: `a/b` is under `a`, `ab` is not.

    A prefix that ends in anything but a letter or digit, such as `case-`, says itself where it ends.
    """
    if not text.startswith(prefix):
        return False
    rest = text[len(prefix) :]
    goes_on = unicodedata.category(prefix[-1])[0] in "LMN"
    return not rest or not goes_on or rest.startswith(_SEGMENT_END)


def folded(text: str) -> str:
    """One form for names that differ only in case, in how a character is written, or in spaces and dots at the ends,
    which some systems drop. For bans, never for leave."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip(" .")
