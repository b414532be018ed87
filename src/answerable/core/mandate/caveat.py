"""Caveats: tagged, checkable restrictions in a mandate.

Laws: a caveat can only restrict; tags are permanent, fields never move, new fields have defaults, and a change that
cannot obey is a new tag; an unknown tag refuses. The wire form is `[tag, field, ...]`.

| tag | since      | meaning                                                            |
|-----|------------|--------------------------------------------------------------------|
| 1   | 2026-11-24 | ResourceIn: the resource id is one of these                        |
| 2   | 2026-11-24 | ArgumentEquals: the argument, as text, equals this value           |
| 3   | 2026-11-24 | ArgumentAtMost: the integer argument is present and at most this   |
| 4   | 2026-11-24 | EnvironmentIs: the capability's environment is this one            |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from answerable.core.canonical import JSONValue
from answerable.errors import Malformed, shown

CAVEATS_MAX: Final = 32
TAGS: Final = (1, 2, 3, 4)


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a caveat can look at: plain values only, so that a rule needs no request to be tested.

    kind, server, sensitivity, destination_type, destinations: empty when unknown, which no caveat about them lets pass.
    destinations: everywhere the action sends to, each in its one spelling.
    """

    capability: str
    environment: str
    resource_type: str
    resource_id: str
    arguments: Mapping[str, JSONValue]
    kind: str = ""
    server: str = ""
    sensitivity: str = ""
    destination_type: str = ""
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceIn:
    """Tag 1."""

    ids: tuple[str, ...]

    def failure(self, attempt: Attempt) -> str | None:
        """Why the attempt is outside, as a person would say it; None when it is inside."""
        if attempt.resource_id in self.ids:
            return None
        kind = attempt.resource_type.lower()
        return f"covers {kind} {_listed(self.ids)} only, not {kind} {shown(attempt.resource_id)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentEquals:
    """Tag 2. Compared as text for strings and as exact value for integers and booleans."""

    name: str
    value: str | int | bool

    def failure(self, attempt: Attempt) -> str | None:
        """As ResourceIn.failure."""
        found = attempt.arguments.get(self.name)
        if type(found) is type(self.value) and found == self.value:
            return None
        got = "nothing" if found is None else shown(found)
        return f"requires argument {shown(self.name)} to be {shown(self.value)}, got {got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentAtMost:
    """Tag 3. An absent or non-integer argument fails: unknown is not leave to act."""

    name: str
    maximum: int

    def failure(self, attempt: Attempt) -> str | None:
        """As ResourceIn.failure."""
        found = attempt.arguments.get(self.name)
        if type(found) is int and found <= self.maximum:
            return None
        got = "nothing" if found is None else shown(found)
        return f"allows argument {shown(self.name)} up to {self.maximum}, got {got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentIs:
    """Tag 4."""

    environment: str

    def failure(self, attempt: Attempt) -> str | None:
        """As ResourceIn.failure."""
        if attempt.environment == self.environment:
            return None
        return f"is for the {self.environment} environment, not {attempt.environment}"


Caveat: TypeAlias = ResourceIn | ArgumentEquals | ArgumentAtMost | EnvironmentIs
CaveatWire: TypeAlias = "list[JSONValue]"


def to_wire(caveat: Caveat) -> CaveatWire:
    """`[tag, field, ...]`; the inverse of `from_wire`."""
    match caveat:
        case ResourceIn(ids=ids):
            return [1, list(ids)]
        case ArgumentEquals(name=name, value=value):
            return [2, name, value]
        case ArgumentAtMost(name=name, maximum=maximum):
            return [3, name, maximum]
    return [4, caveat.environment]


def from_wire(wire: JSONValue) -> Caveat:
    """Raises Malformed (`caveat.unknown`, `caveat.malformed`): a caveat that is not understood refuses everything."""
    # `true` and `1.0` equal 1 in Python, and neither is a tag.
    if not isinstance(wire, list) or not wire or type(wire[0]) is not int:
        raise Malformed("a caveat must be a list that starts with its integer tag", code="caveat.malformed")
    match wire:
        case [1, [*ids]] if ids and all(isinstance(i, str) for i in ids):
            return ResourceIn(ids=tuple(str(i) for i in ids))
        case [2, str(name), str() | int() | bool() as value]:
            return ArgumentEquals(name=name, value=value)
        case [3, str(name), int(maximum)] if not isinstance(maximum, bool):
            return ArgumentAtMost(name=name, maximum=maximum)
        case [4, str(environment)]:
            return EnvironmentIs(environment=environment)
    if wire[0] in TAGS:
        message = f"caveat with tag {wire[0]} does not have the fields of that tag"
        raise Malformed(message, code="caveat.malformed")
    raise Malformed(f"caveat tag {wire[0]} is not known here, so it refuses", code="caveat.unknown")


def _listed(ids: tuple[str, ...]) -> str:
    quoted = [shown(i, 40) for i in ids[:3]]
    return ", ".join(quoted) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
