"""Apply obligations to an upstream's answer: redact, mask and truncate what the agent must not see.

Laws: what an obligation names is found at the stated place, or every document that could contain it is withheld;
nothing unchecked is passed on: the answer is rebuilt from checked documents and our own words; a hidden value is also
hidden verbatim wherever else it occurs in them; the answer states what was left out or withheld.

A document is structured content, or a text that is a JSON object or list. This protects fields in known places. It does
not protect against an upstream that wants to leak, which could use other words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.canonical import DEPTH_MAX
from answerable.core.decision.obligation import ANY
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.obligation import Duties, Place

    Change = Callable[[JSONValue], JSONValue]

REDACTED: Final = "[redacted]"
MASK: Final = "****"
MASK_CHARS_SHOWN: Final = 4
MASK_CHARS_MIN: Final = 8
"""A shorter text is masked completely."""
COPY_CHARS_MIN: Final = 4
"""A shorter value occurs everywhere by coincidence."""
COPIES_MAX: Final = 1_000
"""Maximum number of different values to hide in the rest of a document."""
PARTS_MAX: Final = 1_000
"""Maximum per answer."""

_LISTS: Final = {"tools/call": "content", "resources/read": "contents", "prompts/get": "messages"}

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()
_UNREADABLE: Final = (
    msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, TypeError, OverflowError,
)  # fmt: skip


class _Withheld(Exception):
    """Why a document is withheld, human-readable."""


@dataclass(slots=True)
class _Tally:
    """What was done to an answer. why: reasons why parts were withheld."""

    redacted: int = 0
    masked: int = 0
    left_out: int = 0
    withheld: int = 0
    why: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return a human-readable line; empty when nothing was done."""
        said = [
            f"redacted {_count(self.redacted, 'value')}" if self.redacted else "",
            f"masked {_count(self.masked, 'value')}" if self.masked else "",
            f"left out {_count(self.left_out, 'row')}" if self.left_out else "",
            f"withheld {_count(self.withheld, 'part')}: {'; '.join(dict.fromkeys(self.why))}"
            if self.withheld
            else "",
        ]
        return ", ".join(one for one in said if one)[:400]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown_answer(
    result: dict[str, JSONValue], duties: Duties, *, method: str, target: str
) -> tuple[dict[str, JSONValue], str]:
    """Return the permitted answer, and a human-readable summary of what was done to it. method: the called method,
    which determines the form of the answer. target: the URI of a resource that was read.

    Never raises: what cannot be checked is withheld.
    """
    looking = _Looking(duties=duties, method=method, target=target)
    try:
        several = len(_parts(result, looking)) > 1
        if (duties.redact or duties.mask) and (several or (duties.redact and duties.mask)):
            # The first pass collects the values to hide, which may also occur in an earlier part; the second builds the
            # answer.
            _made(result, looking)
            looking.tally = _Tally()
        made = _made(result, looking)
    except _UNREADABLE:
        looking.tally = _Tally(withheld=1, why=["it could not be looked through"])
        made = _made({"isError": result.get("isError")}, looking)
    return made, looking.tally.text()


def _made(result: dict[str, JSONValue], looking: _Looking) -> dict[str, JSONValue]:
    if looking.method == "tools/call":
        return _tool(result, looking)
    if looking.method == "resources/read":
        return _resource(result, looking)
    if looking.method == "prompts/get":
        return _prompt(result, looking)
    if any(name != "_meta" for name in result):
        looking.withhold("an answer to this method has no fields that could be found")
    return {"completion": {"values": []}} if looking.method == "completion/complete" else {}


def _resource(result: dict[str, JSONValue], looking: _Looking) -> dict[str, JSONValue]:
    target = looking.target
    texts = [_part_text(one, looking) for one in looking.first(_parts(result, looking))]
    whole: list[JSONValue] = [
        {"mimeType": "application/json", "text": text, "uri": target} for text in texts if text is not None
    ]
    told: list[JSONValue] = [
        {"mimeType": "text/plain", "text": one, "uri": target} for one in _told(looking.tally)
    ]
    return {"contents": whole + told}


def _prompt(result: dict[str, JSONValue], looking: _Looking) -> dict[str, JSONValue]:
    said: list[tuple[JSONValue, str | None]] = [
        (one.get("role"), _part_text(one.get("content"), looking))
        for one in looking.first(_parts(result, looking))
        if isinstance(one, dict)
    ]
    said += [("user", one) for one in _told(looking.tally)]
    return {
        "messages": [
            {"content": _text(text), "role": role if role in ("user", "assistant") else "user"}
            for role, text in said
            if text is not None
        ]
    }


def _parts(result: dict[str, JSONValue], looking: _Looking) -> list[JSONValue]:
    """Return the parts of an answer, each with one document."""
    parts = result.get(_LISTS.get(looking.method, ""))
    return parts if isinstance(parts, list) else []


def _tool(result: dict[str, JSONValue], looking: _Looking) -> dict[str, JSONValue]:
    """Return structured content once, in both forms, when it is permitted; else the texts that are documents."""
    tally = looking.tally
    kept: dict[str, JSONValue] = {"isError": True} if result.get("isError") is True else {}
    parts = looking.first(_parts(result, looking))
    texts: list[str] = []
    if "structuredContent" in result:
        structured = result["structuredContent"]
        try:
            document = _document(structured, looking)
        except _Withheld as why:
            looking.withhold(str(why))
        else:
            kept["structuredContent"] = document
            texts = [_ENCODER.encode(document).decode()]
            others = [one for one in parts if not _says(one, structured)]
            if others:
                tally.withheld += len(others)
                tally.why.append("beside structured content, in which the fields are")
            parts = []
    texts += [text for one in parts if (text := _part_text(one, looking)) is not None]
    kept["content"] = [_text(one) for one in (*texts, *_told(tally))]
    return kept


def _told(tally: _Tally) -> list[str]:
    """Return one sentence that tells the agent that the answer is incomplete; none when it is complete."""
    if not tally.withheld and not tally.left_out:
        return []
    return [f"[by policy: {tally.text()}]"]


def _text(text: str) -> dict[str, JSONValue]:
    return {"text": text, "type": "text"}


def _says(part: JSONValue, structured: JSONValue) -> bool:
    """Whether a part is the text form of the structured content, which the protocol requires."""
    text = _words(part)
    try:
        return text is not None and _DECODER.decode(text) == structured
    except _UNREADABLE:
        return False


def _words(part: JSONValue) -> str | None:
    """Return the text of a text block, of an embedded resource or of resource contents."""
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "resource", "resource": {"text": str(text)}}:
            return text
        case {"uri": str(), "text": str(text)}:
            return text
    return None


def _part_text(part: JSONValue, looking: _Looking) -> str | None:
    """Return the permitted form of one part of an answer, as JSON text; None when it is withheld."""
    text = _words(part)
    try:
        if text is None:
            raise _Withheld("it is no text")
        try:
            value = _DECODER.decode(text)
        except _UNREADABLE:
            raise _Withheld("its text is no JSON, in which fields could be found") from None
        return _ENCODER.encode(_document(value, looking)).decode()
    except _Withheld as why:
        looking.withhold(str(why))
        return None


def _document(value: JSONValue, looking: _Looking) -> JSONValue:
    """Return the document with every obligation applied. Raises _Withheld when one cannot be."""
    if not isinstance(value, dict | list):
        raise _Withheld("it is neither an object nor a list")
    mine, hiding, duties, tally = _Tally(), looking.hiding, looking.duties, looking.tally
    for place, most in duties.rows:
        value = _at(value, place, place.path, partial(_least, most=most, tally=mine))
    if duties.mask:
        # Copies of values that are masked further inside, or elsewhere, are redacted completely.
        for place in duties.redact:
            _at(value, place, place.path, hiding.noted)
    places = [(place, False) for place in duties.redact] + [(place, True) for place in duties.mask]
    # The deepest first, so that places inside a hidden value can still be found.
    for place, masks in sorted(places, key=lambda one: (-len(one[0].path), one[0].path, one[1])):
        value = _at(value, place, place.path, partial(hiding.hidden, masks=masks, tally=mine))
    value = hiding.without_copies(value)
    tally.redacted += mine.redacted
    tally.masked += mine.masked
    tally.left_out += mine.left_out
    return value


def _at(value: JSONValue, place: Place, path: tuple[str, ...], change: Change) -> JSONValue:
    """Return the value with the place at `path` changed. Raises _Withheld where a required place does not exist."""
    if not path:
        return change(value)
    name, rest = path[0], path[1:]
    if isinstance(value, list):
        if name == ANY:
            return [_at(one, place, rest, change) for one in value]
        if name.isdecimal() and name.isascii() and len(name) < 10 and int(name) < len(value):
            at = int(name)
            return [*value[:at], _at(value[at], place, rest, change), *value[at + 1 :]]
    elif isinstance(value, dict):
        if name == ANY:
            return {key: _at(one, place, rest, change) for key, one in value.items()}
        if name in value:
            return {**value, name: _at(value[name], place, rest, change)}
        if place.optional:
            return value
    elif value is None and place.optional:
        return value
    raise _Withheld(f"{shown(place.text)} is not there")


def _least(rows: JSONValue, *, most: int, tally: _Tally) -> JSONValue:
    if not isinstance(rows, list):
        raise _Withheld("what may have so many rows is no list")
    tally.left_out += max(0, len(rows) - most)
    return rows[:most]


@dataclass(slots=True)
class _Hiding:
    """The values hidden in an answer. values: hidden values, as text, with their replacements."""

    values: dict[str, str] = field(default_factory=dict)

    def noted(self, found: JSONValue) -> JSONValue:
        """Note that copies of this value are redacted from now on. Returns it unchanged."""
        self.values.update(dict.fromkeys(_leaves(found, 0), REDACTED))
        return found

    def hidden(self, found: JSONValue, *, masks: bool, tally: _Tally) -> JSONValue:
        """Return the replacement of a value."""
        if masks:
            for leaf in _leaves(found, 0):
                self.values.setdefault(leaf, _masked(leaf))
            tally.masked += 1
            return _masked(found) if isinstance(found, str | int | float) else MASK
        self.noted(found)
        tally.redacted += 1
        return REDACTED

    def without_copies(self, value: JSONValue) -> JSONValue:
        """Return the document with every other occurrence of the hidden values hidden. Raises
        _Withheld for too many."""
        if len(self.values) > COPIES_MAX:
            raise _Withheld(f"it has more than {COPIES_MAX} values to hide: cap its rows")
        whole = _ENCODER.encode(value).decode()
        there = {
            text: instead
            for text, instead in sorted(self.values.items(), key=lambda one: -len(one[0]))
            if _ENCODER.encode(text).decode()[1:-1] in whole
        }
        return _replaced(value, there, 0) if there else value


@dataclass(slots=True)
class _Looking:
    """One pass through an answer. hiding: what is hidden in any of its documents."""

    duties: Duties
    method: str
    target: str
    tally: _Tally = field(default_factory=_Tally)
    hiding: _Hiding = field(default_factory=_Hiding)

    def withhold(self, why: str, *, parts: int = 1) -> None:
        """Note that some parts are withheld."""
        self.tally.withheld += parts
        self.tally.why.append(why)

    def first(self, parts: list[JSONValue]) -> list[JSONValue]:
        """Return the parts to check; the rest is withheld."""
        if len(parts) > PARTS_MAX:
            self.withhold(f"only {PARTS_MAX} are looked at", parts=len(parts) - PARTS_MAX)
        return parts[:PARTS_MAX]


def _leaves(value: JSONValue, depth: int) -> list[str]:
    """Return the texts and numbers in a value that are long enough to be recognised."""
    if depth > DEPTH_MAX:
        raise _Withheld("it is nested too deeply")
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one, depth + 1)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one, depth + 1)]
    if value is None or isinstance(value, bool):
        return []
    text = _as_text(value)
    return [text] if len(text) >= COPY_CHARS_MIN else []


def _as_text(value: str | int | float) -> str:
    return value if isinstance(value, str) else _ENCODER.encode(value).decode()


def _masked(value: str | int | float | bool) -> str:
    text = "" if isinstance(value, bool) else _as_text(value)
    return MASK + text[-MASK_CHARS_SHOWN:] if len(text) >= MASK_CHARS_MIN else MASK


def _replaced(value: JSONValue, hidden: dict[str, str], depth: int) -> JSONValue:
    if depth > DEPTH_MAX:
        raise _Withheld("it is nested too deeply")
    if isinstance(value, dict):
        made: dict[str, JSONValue] = {}
        for name, below in value.items():
            key = _rid(name, hidden)
            while key in made:
                key += "'"
            made[key] = _replaced(below, hidden, depth + 1)
        return made
    if isinstance(value, list):
        return [_replaced(one, hidden, depth + 1) for one in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _rid(value, hidden)
    return hidden.get(_as_text(value), value)


def _rid(text: str, hidden: dict[str, str]) -> str:
    for value, instead in hidden.items():
        if value in text and text != instead:
            text = text.replace(value, instead)
    return text
