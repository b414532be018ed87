"""Resolve JSON pointers to nested arguments of tools, so that policy can use them under names of their own.

Laws: a pointer (RFC 6901) refers to one place, or with `*` to every item of a list; no item is skipped: an item without
the value gives `null`, which fits no type; an absent place gives an absent argument, as at the top level; a place of
another shape gives a value that fits no type.

Steps in braces are words, so a member with such a name cannot be referred to:

| word        | gives                                                          | position    |
|-------------|----------------------------------------------------------------|-------------|
| `{json}`    | the JSON value in a text, parsed strictly                      | anywhere    |
| `{count}`   | the number of items of a list                                  | at the end  |
| `{sum}`     | the sum of whole numbers, none of which is negative            | at the end  |
| `{largest}` | the largest of whole numbers; of an empty list 0               | at the end  |
| `{same}`    | the value that all items have; fits no type if they differ     | at the end  |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import INTEGER_MAX, parse
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import ArgumentMapping

POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])+){1,16}")
EVERY: Final = "*"
"""The step that selects every item of a list; a member with this name cannot be referred to."""
VALUES_MAX: Final = 1_000
"""Most values of one pointer; beyond that the result fits no type."""
JSON: Final = "{json}"
COUNT: Final = "{count}"
SUM: Final = "{sum}"
LARGEST: Final = "{largest}"
SAME: Final = "{same}"
AT_THE_END: Final = (COUNT, SUM, LARGEST, SAME)
_WORD: Final = re.compile(r"\{[^{}]*\}")


def word_fault(pointer: str) -> str:
    """Return what is wrong with the words in a pointer, or empty if nothing is."""
    steps = pointer.split("/")[1:]
    for number, step in enumerate(steps):
        if not _WORD.fullmatch(step):
            continue
        if step not in (JSON, *AT_THE_END):
            return f"{shown(step)} is none of the words {', '.join((JSON, *AT_THE_END))}"
        if step in AT_THE_END and number + 1 < len(steps):
            return f"{shown(step)} applies to a whole list, so no step may follow it"
        if number == 0:
            return f"{shown(step)} comes after what it is about"
    return ""


def value_at(value: JSONValue, pointer: str) -> JSONValue:
    """Return the value at a pointer; for several items the list of all, or the result of a word. None if there is
    nothing. Never raises."""
    steps = [_unescaped(step) for step in pointer.split("/")[1:]]
    if steps[-1] in AT_THE_END:
        return _together(_follow(value, steps[:-1]), steps[-1])
    return _follow(value, steps)


def named_arguments(
    mappings: Iterable[ArgumentMapping], arguments: dict[str, JSONValue]
) -> dict[str, JSONValue]:
    """Return the arguments together with those named by a pointer. Such a name hides a top-level member of the same
    name: it defines what policy, mandates and budgets mean by that name."""
    named = arguments
    for mapping in mappings:
        if mapping.pointer:
            # Most capabilities have no pointers, and should not pay for the copy.
            named = dict(arguments) if named is arguments else named
            named.pop(mapping.name, None)
            value = value_at(arguments, mapping.pointer)
            if value is not None:
                named[mapping.name] = value
    return named


def with_changed(
    mappings: Iterable[ArgumentMapping], arguments: dict[str, JSONValue], changed: Mapping[str, JSONValue]
) -> dict[str, JSONValue] | None:
    """Return the tool's arguments with changed values, each put at its argument's place. None if a place is in every
    item of a list, inside a text, or does not exist."""
    pointers = {mapping.name: mapping.pointer for mapping in mappings if mapping.pointer}
    result = dict(arguments)
    for name, value in changed.items():
        steps = [_unescaped(step) for step in pointers[name].split("/")[1:]] if name in pointers else [name]
        many = name in pointers and any(step == EVERY or _WORD.fullmatch(step) for step in steps)
        made = None if many else _put(result, steps, value)
        if not isinstance(made, dict):
            return None
        result = made
    return result


def _put(value: JSONValue, steps: list[str], wanted: JSONValue) -> JSONValue:
    """Return the value with `wanted` at a place; None if the parent of that place does not exist."""
    if not steps:
        return wanted
    step, below = steps[0], steps[1:]
    if isinstance(value, dict) and (step in value or not below):
        made = _put(value.get(step), below, wanted)
        return None if made is None else {**value, step: made}
    if isinstance(value, list) and step.isascii() and step.isdigit() and step == str(int(step)):
        at = int(step)
        made = _put(value[at], below, wanted) if at < len(value) else None
        return None if made is None else [*value[:at], made, *value[at + 1 :]]
    return None


def _follow(value: JSONValue, steps: list[str]) -> JSONValue:
    for number, step in enumerate(steps):
        if value is None:
            return None
        if step == EVERY:
            return _gathered(value, steps[number + 1 :])
        if step == JSON:
            value = _read(value)
            continue
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and step == str(int(step)):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return _misfit()
    return value


def _gathered(items: JSONValue, steps: list[str]) -> JSONValue:
    if not isinstance(items, list):
        return _misfit()
    found: list[JSONValue] = []
    for item in items[: VALUES_MAX + 1]:
        below = _follow(item, steps)
        if isinstance(below, list) and EVERY in steps:
            found += below
        else:
            found.append(below)
        if len(found) > VALUES_MAX:
            return _misfit()
    return found


def _read(value: JSONValue) -> JSONValue:
    if not isinstance(value, str):
        return _misfit()
    try:
        return parse(value.encode())
    except (Malformed, UnicodeEncodeError):
        return _misfit()


def _together(value: JSONValue, word: str) -> JSONValue:
    """Reduce a list to one value. A value that is not a list, or has an unsuitable item, fits no type."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > VALUES_MAX or None in value:
        return _misfit()
    if word == COUNT:
        return len(value)
    if word == SAME:
        first = value[0] if value else None
        alike = all(type(one) is type(first) and one == first for one in value)
        return first if alike and type(first) in (str, int, bool) else _misfit()
    numbers = [one for one in value if type(one) is int and one >= 0]
    if len(numbers) < len(value):
        return _misfit()
    taken = sum(numbers) if word == SUM else max(numbers, default=0)
    return taken if taken <= INTEGER_MAX else _misfit()


def _misfit() -> JSONValue:
    """Return a value that fits no type. An absent value instead would hide the argument from rules that forbid it."""
    return [None]


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
