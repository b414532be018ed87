"""Extract from an action object the features by which similar approvals are grouped and compared.

Members of the object that may differ within a group are listed in `VARYING`. Every other member, including those that a
later version adds, is part of `rest`: two approvals that differ in it are not similar.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from answerable.core.approval.action_object import ACTION_TYP, VERSION
from answerable.core.approval.visible import visible
from answerable.core.canonical import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue

EFFECT: Final = "/effect"
"""Where the result of a dry run is compared: it is on the card and not in the object."""
VARYING: Final = ("amounts", "arguments", "destinations", "narrowed_from", "resource", "subject")
"""Members compared leaf by leaf."""
_OWN: Final = (("arguments", "/arguments"), ("resource", "/resource"))
"""Members that usually differ in each approval, with their place."""
_OFTEN_THE_SAME: Final = tuple((name, f"/{name}") for name in VARYING if name not in dict(_OWN))
_ALWAYS_OTHER: Final = frozenset({"txn", "not_before", "expires_at", "policy_set", "noted"})
"""Members of the request rather than of the action: the rules are compared, and a note makes an approval an outlier."""
FORM_CHARS: Final = 256
"""Length of the beginning of a text whose form is examined."""
LEAVES_MAX: Final = 64
"""Maximum number of leaves of one approval; one with more is not grouped."""
_REMEMBERED_MAX: Final = 4_096
"""Size of each cache of places, and of small values, that are equal in many approvals."""
_SMALL_BYTES: Final = 64
_VERSION: Final = b"%d" % VERSION
_NONE: Final = b"null"
_EMPTY: Final = b"[]"


class Nothing(Enum):
    """The value at a pointer without a value; no agent can send it."""

    ABSENT = "nothing"
    EMPTY_LIST = "[]"
    EMPTY_OBJECT = "{}"

    # Each member exists once. `Enum.__hash__` would take as long as the rest of counting a value.
    __hash__ = object.__hash__


class Truth(Enum):
    """A boolean: Python treats its own as equal to the numbers 1 and 0."""

    TRUE = "true"
    FALSE = "false"

    __hash__ = object.__hash__


Value: TypeAlias = "str | int | float | Truth | Nothing | None"
"""The value of a leaf. Two are equal only where their JSON is equal: no integral number is a float here."""

_WHERE_WORDS: Final = frozenset(
    "to cc bcc payee payees recipient recipients receiver receivers beneficiary beneficiaries creditor account "
    "accounts iban bic wallet dest destination destinations address addresses email emails mail phone url uri link "
    "host hostname domain webhook endpoint channel bucket remote repo repository".split()
)
"""Words in the name of an argument, or of its parent, that mark the argument as a destination or recipient."""
_WHERE_FORM: Final = re.compile(
    r"[^@\s]+@[^@\s]+\.[^@\s]+|[a-z][a-z0-9+.-]*://\S+|[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}", re.IGNORECASE
)
"""An e-mail address, a URL or an IBAN."""
_NO_EFFECT: Final = b'"effect":[]'
_NUMBER: Final = re.compile(r"(?:about )?([0-9]{1,3}(?:,[0-9]{3}){0,4}|[0-9]{1,15})(?: \(an estimate.*\))?")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class _Envelope(msgspec.Struct, gc=False):
    """The parsed part of an envelope; each member of the object is kept in its canonical bytes."""

    typ: str
    value: dict[str, msgspec.Raw]


_ENVELOPES: Final = msgspec.json.Decoder(_Envelope)
_VALUES: Final = msgspec.json.Decoder()


class Features(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The features by which an approval is grouped and compared. family: agent, mandate and capability. rest: digest of
    everything that must be equal, hex. leaves: place and value of what may differ; a place is a JSON pointer, except
    that a list item has a `#` before its index, so that lists and objects are never confused. noted: the differences
    from earlier actions noted in the request."""

    family: tuple[str, str, str]
    rest: str
    leaves: dict[str, Value]
    noted: tuple[str, ...]


def features_of(approval: Approval) -> Features | None:
    """Return the features; None for an approval that cannot be compared. Synchronous, no I/O, never raises."""
    try:
        envelope = _ENVELOPES.decode(approval.shown.bytes)
    except msgspec.ValidationError:
        return None
    members = envelope.value
    if envelope.typ != ACTION_TYP or bytes(members.get("v", _NONE)) != _VERSION:
        return None
    leaves: dict[str, Value] = {}
    for name, where in _OWN:
        _gather(_VALUES.decode(members.get(name, _NONE)), where, leaves)
    for name, where in _OFTEN_THE_SAME:
        text = bytes(members.get(name, _NONE))
        leaves.update(_same_leaves(where, text) if len(text) <= _SMALL_BYTES else _read_leaves(where, text))
    if _NO_EFFECT not in approval.card.bytes:
        leaves.update(islice(_effects(approval), LEAVES_MAX + 1))
    if len(leaves) > LEAVES_MAX:
        return None
    head, names = _rest_of(tuple(members))
    told = _told(approval.reasons, approval.internal)
    noted = bytes(members.get("noted", _EMPTY))
    return Features(
        family=(str(approval.agent), str(approval.mandate), approval.capability),
        # JSON contains no zero byte, so the parts are unambiguous.
        rest=sha256(b"\0".join((told, head, *[members[name] for name in names]))).hexdigest(),
        leaves=leaves,
        noted=() if noted == _EMPTY else noted_of(approval),
    )


def rest_that_differs(one: Approval, other: Approval) -> tuple[str, ...]:
    """Return the names of the members that must be equal and are not."""
    mine, theirs = (_members(approval) for approval in (one, other))
    names = sorted(name for name in mine.keys() | theirs.keys() if _is_rest(name))
    differ = tuple(name for name in names if mine.get(name) != theirs.get(name))
    told = (one.reasons, one.internal) != (other.reasons, other.internal)
    return (*differ, "reasons") if told else differ


def noted_of(approval: Approval) -> tuple[str, ...]:
    """Return the differences from earlier actions noted in the request."""
    noted = _members(approval).get("noted")
    return tuple(str(one) for one in noted) if isinstance(noted, list) else ()


def is_where(pointer: str) -> bool:
    """Whether a leaf states a destination, by its place or a name on the path to it."""
    if pointer.startswith("/destinations"):
        return True
    named = _CAMEL.sub(" ", " ".join(part for part in pointer.split("/")[2:] if not part.startswith("#")))
    words = {word.casefold() for word in re.split(r"[^A-Za-z0-9]+", named)}
    return bool(words & _WHERE_WORDS)


def goes_somewhere(text: str) -> bool:
    """Whether the text has the form of a destination."""
    return _WHERE_FORM.fullmatch(text[:FORM_CHARS]) is not None


def _effects(approval: Approval) -> Iterator[tuple[str, Value]]:
    """Yield the lines of the preview, those of one label in order; a text that is only a number is read as a number."""
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
    """Return the JSON pointer (RFC 6901) of a place."""
    return place.replace("/#", "/").replace("~2", "#")


def label_of(place: str) -> str:
    """Return the human-readable label: of an argument its name, of anything else its place."""
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


@lru_cache(maxsize=_REMEMBERED_MAX)
def _rest_of(names: tuple[str, ...]) -> tuple[bytes, tuple[str, ...]]:
    """Return the members that must be equal, and an encoding of their names."""
    rest = tuple(name for name in names if _is_rest(name))
    return encode([*rest]), rest


@lru_cache(maxsize=_REMEMBERED_MAX)
def _told(reasons: tuple[str, ...], internal: tuple[str, ...]) -> bytes:
    return encode([[*reasons], [*internal]])


def _read_leaves(where: str, text: bytes) -> dict[str, Value]:
    leaves: dict[str, Value] = {}
    _gather(_VALUES.decode(text), where, leaves)
    return leaves


_same_leaves = lru_cache(maxsize=_REMEMBERED_MAX)(_read_leaves)
"""Many values are equal in many approvals: empty, or one word."""


def _gather(value: JSONValue, where: str, into: dict[str, Value]) -> None:
    """Collect each leaf with its pointer (RFC 6901), including empty containers, up to the limit. Depth is bounded by
    what was frozen."""
    if isinstance(value, bool):
        into[where] = Truth.TRUE if value else Truth.FALSE
    elif not isinstance(value, (dict, list)):
        into[where] = value
    elif not value:
        into[where] = Nothing.EMPTY_OBJECT if isinstance(value, dict) else Nothing.EMPTY_LIST
    else:
        below = value.items() if isinstance(value, dict) else enumerate(value)
        for name, one in below:
            if len(into) > LEAVES_MAX:
                return
            small = isinstance(name, str) and len(where) + len(name) <= _SMALL_BYTES
            place = _same_place(where, name) if small else _place(where, name)
            if isinstance(one, str):
                into[place] = one
            else:
                _gather(one, place, into)


def _place(where: str, name: str | int) -> str:
    return f"{where}/{_escaped(name)}" if isinstance(name, str) else f"{where}/#{name}"


_same_place = lru_cache(maxsize=_REMEMBERED_MAX)(_place)
"""One string object per place, shared by all approvals."""


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1").replace("#", "~2")
