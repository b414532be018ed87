"""What an approval has in common with others like it, and what of it may differ: read once of its action object.

Members of the object that may differ within a group are listed in `VARYING`. Each other member, also one that a later
version adds, is part of `rest`: two approvals of which one differs in it are not alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeAlias

from answerable.core.approval.action_object import ACTION_TYP, VERSION
from answerable.core.approval.visible import visible
from answerable.core.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue

EFFECT: Final = "/effect"
"""Where what a dry run said is compared: it is on the card and not in the object."""
VARYING: Final = ("amounts", "arguments", "destinations", "narrowed_from", "resource", "subject")
"""Compared leaf by leaf."""
_ALWAYS_OTHER: Final = frozenset({"txn", "not_before", "expires_at", "policy_set", "noted"})
"""Of the asking and not of what is asked: the rules that ask are compared, and what was noted makes it an odd one."""
FORM_CHARS: Final = 256
"""Of a text, when it is looked at for its form."""
LEAVES_MAX: Final = 64
"""Of one approval; what has more stands alone."""


class Nothing(Enum):
    """What stands at a pointer where there is no value: nobody can send it."""

    ABSENT = "nothing"
    EMPTY_LIST = "[]"
    EMPTY_OBJECT = "{}"


Value: TypeAlias = "str | int | float | bool | Nothing | None"
"""Of a leaf."""

_WHERE_WORDS: Final = frozenset(
    "to cc bcc payee payees recipient recipients receiver receivers beneficiary beneficiaries creditor account "
    "accounts iban bic wallet dest destination destinations address addresses email emails mail phone url uri link "
    "host hostname domain webhook endpoint channel bucket remote repo repository".split()
)
"""In the name of an argument, or of what it lies in: what it says is where something goes, or to whom."""
_WHERE_FORM: Final = re.compile(
    r"[^@\s]+@[^@\s]+\.[^@\s]+|[a-z][a-z0-9+.-]*://\S+|[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}", re.IGNORECASE
)
"""An e-mail address, a URL or an IBAN."""
_NO_EFFECT: Final = b'"effect":[]'
_NUMBER: Final = re.compile(r"(?:about )?([0-9]{1,3}(?:,[0-9]{3}){0,4}|[0-9]{1,15})(?: \(an estimate.*\))?")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """family: agent, mandate and capability. rest: digest of all that must be the same, hex. leaves: place and value of
    what may differ; a place is a JSON pointer, but that an item of a list has a `#` before its index, so that a list
    and an object are never taken for each other."""

    family: tuple[str, str, str]
    rest: str
    leaves: dict[str, Value]


def features_of(approval: Approval) -> Features | None:
    """What it is compared by; None for one that nothing can be compared with. Synchronous, no I/O, never raises."""
    envelope = approval.shown.thaw()
    value = (
        envelope.get("value") if isinstance(envelope, dict) and envelope.get("typ") == ACTION_TYP else None
    )
    if not isinstance(value, dict) or value.get("v") != VERSION:
        return None
    leaves: dict[str, Value] = {}
    for name in VARYING:
        for where, leaf in _leaves(value.get(name), f"/{name}"):
            if len(leaves) >= LEAVES_MAX:
                return None
            leaves[where] = leaf
    for where, leaf in _effects(approval):
        if len(leaves) >= LEAVES_MAX:
            return None
        leaves[where] = leaf
    told: list[JSONValue] = [*approval.reasons, *approval.internal]
    rest: JSONValue = [told, {name: one for name, one in value.items() if _is_rest(name)}]
    family = (str(approval.agent), str(approval.mandate), approval.capability)
    return Features(family=family, rest=sha256(encode(rest)).hexdigest(), leaves=leaves)


def rest_that_differs(one: Approval, other: Approval) -> tuple[str, ...]:
    """Names of the members that must be the same and are not."""
    mine, theirs = (_members(approval) for approval in (one, other))
    names = sorted(name for name in mine.keys() | theirs.keys() if _is_rest(name))
    differ = tuple(name for name in names if mine.get(name) != theirs.get(name))
    told = (one.reasons, one.internal) != (other.reasons, other.internal)
    return (*differ, "reasons") if told else differ


def noted_of(approval: Approval) -> tuple[str, ...]:
    """What was unlike before when it was asked."""
    noted = _members(approval).get("noted")
    return tuple(str(one) for one in noted) if isinstance(noted, list) else ()


def is_where(pointer: str, values: set[Value]) -> bool:
    """Whether a leaf says where something goes, by its place, a name on the way to it or the form of its values."""
    if pointer.startswith("/destinations"):
        return True
    named = _CAMEL.sub(" ", " ".join(part for part in pointer.split("/")[2:] if not part.startswith("#")))
    words = {word.casefold() for word in re.split(r"[^A-Za-z0-9]+", named)}
    if words & _WHERE_WORDS:
        return True
    return any(isinstance(one, str) and _WHERE_FORM.fullmatch(one[:FORM_CHARS]) for one in values)


def _effects(approval: Approval) -> Iterator[tuple[str, Value]]:
    """Lines of the preview, those of one label in their order; what is but a number is read as one."""
    if _NO_EFFECT in approval.card.bytes:
        return
    card = approval.card.thaw()
    lines = card.get("effect") if isinstance(card, dict) else None
    for index, line in enumerate(lines if isinstance(lines, list) else []):
        label, text = line if isinstance(line, list) and len(line) == 2 else ("", line)
        number = _NUMBER.fullmatch(str(text))
        yield (
            f"{EFFECT}/{_escaped(str(label))}/#{index}",
            int(number[1].replace(",", "")) if number else str(text),
        )


def pointer_of(place: str) -> str:
    """The JSON pointer (RFC 6901) of a place."""
    return place.replace("/#", "/").replace("~2", "#")


def label_of(place: str) -> str:
    """What a person calls it: of an argument its name, of all else its place."""
    parts = [part.removeprefix("#") for part in place.split("/")[1:]]
    if parts[0] == "arguments" and len(parts) > 1:
        parts = parts[1:]
    named = [part.replace("~2", "#").replace("~1", "/").replace("~0", "~") for part in parts]
    return visible(" ".join(named))


def _members(approval: Approval) -> dict[str, JSONValue]:
    envelope = approval.shown.thaw()
    value = envelope.get("value") if isinstance(envelope, dict) else None
    return value if isinstance(value, dict) else {}


def _is_rest(name: str) -> bool:
    return name not in VARYING and name not in _ALWAYS_OTHER


def _leaves(value: JSONValue, where: str) -> Iterator[tuple[str, Value]]:
    """Each leaf with its pointer (RFC 6901), an empty container among them. Depth is bounded by what was frozen."""
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _leaves(one, f"{where}/{_escaped(name)}")
    elif isinstance(value, list) and value:
        for index, one in enumerate(value):
            yield from _leaves(one, f"{where}/#{index}")
    elif isinstance(value, list):
        yield where, Nothing.EMPTY_LIST
    elif isinstance(value, dict):
        yield where, Nothing.EMPTY_OBJECT
    else:
        yield where, value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1").replace("#", "~2")
