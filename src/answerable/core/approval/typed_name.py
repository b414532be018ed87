"""The name that a person must type before a critical action runs, so that no accidental tap approves it.

Laws: the name is made from the frozen object alone; it is the object of the action, where a person can read and type
it; of a machine-made id, its end; or else the capability; the typed text must match exactly, in normal form C (Unicode
Standard Annex 15): case, blanks and look-alike letters count.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from answerable.core.approval.action_object import object_in
from answerable.core.approval.visible import hides_something
from answerable.errors import Malformed

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval

CRITICAL: Final = 3
"""The tier that requires typing the name."""
NAME_CHARS_MAX: Final = 40
"""Nobody types a longer name on a phone."""
END_CHARS: Final = 8
"""Length of the end of a machine-made id, which is what people compare."""
TYPED_CHARS_MAX: Final = 256
"""Longer input is rejected without a comparison."""
_MADE: Final = re.compile(r"[0-9a-fA-F-]*[0-9a-fA-F]{8}")
_MADE_CHARS_MIN: Final = 24


def name_to_type(approval: Approval) -> str:
    """Return what a person types to let this run.

    A name that is long, has hidden characters or ambiguous blanks is replaced by that of the capability. Of a UUID, a
    digest or another long hexadecimal number the last `END_CHARS` are used.
    """
    try:
        resource = object_in(approval.shown)["resource"]
    except (Malformed, KeyError):
        return approval.capability
    name = resource.get("id") if isinstance(resource, dict) else None
    if not isinstance(name, str):
        return approval.capability
    if len(name) >= _MADE_CHARS_MIN and _MADE.fullmatch(name):
        return name[-END_CHARS:]
    return name if _typable(name) else approval.capability


def is_same_name(name: str, typed: str) -> bool:
    """Whether exactly this name was typed."""
    if len(typed) > TYPED_CHARS_MAX:
        return False
    return _composed(typed) == _composed(name)


def how_unlike(name: str, typed: str) -> str:
    """Describe in our own words how the typed text differs from the name, without repeating any of it."""
    if not typed:
        return "nothing was typed"
    if len(typed) > TYPED_CHARS_MAX:
        return "it is far too long"
    was, now = _composed(name), _composed(typed)
    if now.strip() == was:
        return "there is a blank before or after it"
    if now.casefold() == was.casefold():
        return "upper and lower case count"
    pairs = enumerate(zip(was, now, strict=False), start=1)
    place = next(((at, one, other) for at, (one, other) in pairs if one != other), None)
    if place is not None and len(was) == len(now) and not (place[1] + place[2]).isascii():
        at, one, other = place
        return f"its character {at} is U+{ord(other):04X}, in the name it is U+{ord(one):04X}"
    return "it is another name"


def _typable(name: str) -> bool:
    unclear = name != " ".join(name.split()) or "`" in name
    return 0 < len(name) <= NAME_CHARS_MAX and not unclear and not hides_something(name)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
