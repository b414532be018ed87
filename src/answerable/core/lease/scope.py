"""What a credential may do: a JSON object in the target's own grammar, filled from the action that was decided.

Laws: filling is one pass over texts, so that a value that looks like a placeholder stays text; numbers, lists and names
of members are never made from values; a placeholder without a value refuses; what was filled is frozen and known by its
digest. Nothing here knows what a grant means: the issuer of the target does, and refuses what it does not understand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import FrozenJSON, freeze
from answerable.errors import Malformed, Refused, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

PLACEHOLDER: Final = re.compile(r"\{(resource|mandate|agent|argument\.[A-Za-z_][A-Za-z0-9_.-]{0,63})\}")
VALUE_CHARS_MAX: Final = 512
TEXTS_MAX: Final = 1_000

Scope = FrozenJSON


def placeholders_of(grants: JSONValue) -> tuple[str, ...]:
    """The names of the placeholders in a template, in order of appearance.

    Raises Malformed (`lease.placeholder`) for a brace that is not one of theirs.
    """
    found: list[str] = []
    for text in _texts(grants):
        rest = PLACEHOLDER.sub("", text)
        if "{" in rest or "}" in rest:
            raise Malformed(
                f"{shown(text)} has a brace that is no placeholder: there are {{resource}}, {{mandate}}, {{agent}} and "
                "{argument.NAME}",
                code="lease.placeholder",
            )
        found += PLACEHOLDER.findall(text)
    return tuple(dict.fromkeys(found))


def filled(grants: JSONValue, values: Mapping[str, str]) -> Scope:
    """The scope of one action. Raises Refused (`lease.scope`) where a value is missing, too long or has control
    characters, and Malformed (`json.*`)."""
    return freeze(_filled(grants, values))


def _filled(part: JSONValue, values: Mapping[str, str]) -> JSONValue:
    if isinstance(part, str):
        return PLACEHOLDER.sub(lambda found: _value(found[1], values), part)
    if isinstance(part, list):
        return [_filled(one, values) for one in part]
    if isinstance(part, dict):
        return {name: _filled(one, values) for name, one in part.items()}
    return part


def _value(name: str, values: Mapping[str, str]) -> str:
    value = values.get(name)
    if value is None:
        raise Refused(
            f"the action has no {shown(name)}, which its credential would be limited to", code="lease.scope"
        )
    if len(value) > VALUE_CHARS_MAX or not value.isprintable():
        raise Refused(
            f"{shown(name)} cannot limit a credential: it has more than {VALUE_CHARS_MAX} characters, or some that "
            "cannot be printed",
            code="lease.scope",
        )
    return value


def _texts(part: JSONValue) -> list[str]:
    left, found = [part], []
    while left:
        one = left.pop(0)
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, list):
            left += one
        elif isinstance(one, dict):
            left += one.values()
        if len(found) > TEXTS_MAX:
            raise Malformed(f"grants have more than {TEXTS_MAX} texts", code="lease.placeholder")
    return found
