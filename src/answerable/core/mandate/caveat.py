"""Caveats: tagged restrictions in a mandate that the gateway can check.

Laws: a caveat can only restrict; tags are permanent, fields never change place, new fields have defaults, and a change
that cannot follow these rules is a new tag; an unknown tag refuses. The wire form is `[tag, field, ...]`.

| tag | since      | meaning                                                            |
|-----|------------|--------------------------------------------------------------------|
| 1   | 2026-11-24 | ResourceIn: the resource id is one of these                        |
| 2   | 2026-11-24 | ArgumentEquals: the argument equals this value exactly             |
| 3   | 2026-11-24 | ArgumentAtMost: the integer argument is present and at most this   |
| 4   | 2026-11-24 | EnvironmentIs: the capability's environment is this one            |
| 5   | 2026-11-25 | DestinationIn: every destination is known and one of these         |
| 6   | 2026-11-25 | SensitivityAtMost: the sensitivity is known and at most this         |
| 7   | 2026-11-25 | KindIn: the kind of action is one of these                         |
| 8   | 2026-11-25 | SystemIn: the server is one of these                               |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args

import msgspec

from answerable.core.canonical import JSONValue
from answerable.core.registry.documents.capability import ACTION_KINDS, KIND_VERBS, ActionKind, Sensitivity
from answerable.core.registry.documents.destination import (
    DESTINATION_TYPES,
    DestinationType,
    admits,
    checked_allowed,
)
from answerable.errors import Malformed, shown
from answerable.errors.codes.mandate import CAVEAT_MALFORMED, CAVEAT_UNKNOWN

CAVEATS_MAX: Final = 32
TAGS: Final = (1, 2, 3, 4, 5, 6, 7, 8)
SENSITIVITIES: Final[tuple[Sensitivity, ...]] = get_args(Sensitivity)
"""Sensitivities in rising order: public first."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Facts of an attempted action: plain values only, so that caveats can be tested without a request.

    kind, server, sensitivity, destination_type, destinations: empty when unknown; a caveat about an unknown fact
    refuses. destinations: every destination of the action, in canonical spelling.
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
    """Tag 1: the resource id is one of `ids`."""

    ids: tuple[str, ...]

    def failure(self, attempt: Attempt) -> str | None:
        """Return the human-readable reason why the attempt violates the caveat, or None if it does not."""
        if attempt.resource_id in self.ids:
            return None
        kind = attempt.resource_type.lower()
        return f"covers {kind} {_listed(self.ids)} only, not {kind} {shown(attempt.resource_id)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentEquals:
    """Tag 2: the argument equals `value`, and has the same type."""

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
    """Tag 3: the argument is an integer of at most `maximum`. An absent or non-integer argument fails."""

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
    """Tag 4: the capability's environment is `environment`."""

    environment: str

    def failure(self, attempt: Attempt) -> str | None:
        """As ResourceIn.failure."""
        if attempt.environment == self.environment:
            return None
        return f"is for the {self.environment} environment, not {attempt.environment}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationIn:
    """Tag 5: every destination is in `allowed`. A mail domain allows every address in that domain, and none in a
    subdomain."""

    type: DestinationType
    allowed: tuple[str, ...]

    def failure(self, attempt: Attempt) -> str | None:
        """As ResourceIn.failure."""
        if attempt.destination_type != self.type or not attempt.destinations:
            where = f"the destination of {shown(attempt.capability)} is unknown"
            return f"allows {_to(self.type, self.allowed)} only, and {where}"
        outside = [one for one in attempt.destinations if not admits(self.allowed, one)]
        if not outside:
            return None
        return f"allows {_to(self.type, self.allowed)} only, not {shown(outside[0])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityAtMost:
    """Tag 6: the data ceiling. Sensitivities are ordered as in `SENSITIVITIES`."""

    ceiling: Sensitivity

    def failure(self, attempt: Attempt) -> str | None:
        """As ResourceIn.failure."""
        up_to = SENSITIVITIES[: SENSITIVITIES.index(self.ceiling) + 1]
        if attempt.sensitivity in up_to:
            return None
        got = attempt.sensitivity if attempt.sensitivity in SENSITIVITIES else "data of unknown sensitivity"
        return f"allows {self.ceiling} data at most, not {got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindIn:
    """Tag 7: the kind of the action is one of `kinds`."""

    kinds: tuple[ActionKind, ...]

    def failure(self, attempt: Attempt) -> str | None:
        """As ResourceIn.failure."""
        if attempt.kind in self.kinds:
            return None
        got = f"to {_verb(attempt.kind)}" if attempt.kind in ACTION_KINDS else "an action of unknown kind"
        return f"allows to {' or '.join(map(_verb, self.kinds))} only, not {got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemIn:
    """Tag 8: the server is one of `servers`."""

    servers: tuple[str, ...]

    def failure(self, attempt: Attempt) -> str | None:
        """As ResourceIn.failure."""
        if attempt.server and attempt.server in self.servers:
            return None
        got = shown(attempt.server) if attempt.server else "an unknown system"
        return f"covers system {_listed(self.servers)} only, not {got}"


Caveat: TypeAlias = (
    ResourceIn
    | ArgumentEquals
    | ArgumentAtMost
    | EnvironmentIs
    | DestinationIn
    | SensitivityAtMost
    | KindIn
    | SystemIn
)
CaveatWire: TypeAlias = "list[JSONValue]"
ABOUT_CAPABILITY: Final = (EnvironmentIs, SensitivityAtMost, KindIn, SystemIn)
"""Caveats that hold for every action of a capability, or for none."""


def to_wire(caveat: Caveat) -> CaveatWire:
    """Write a caveat as `[tag, field, ...]`; the inverse of `from_wire`."""
    match caveat:
        case ResourceIn(ids=ids):
            return [1, list(ids)]
        case ArgumentEquals(name=name, value=value):
            return [2, name, value]
        case ArgumentAtMost(name=name, maximum=maximum):
            return [3, name, maximum]
        case EnvironmentIs(environment=environment):
            return [4, environment]
        case DestinationIn(type=kind, allowed=allowed):
            return [5, kind, list(allowed)]
        case SensitivityAtMost(ceiling=ceiling):
            return [6, ceiling]
        case KindIn(kinds=kinds):
            return [7, list(kinds)]
    return [8, list(caveat.servers)]


def from_wire(wire: JSONValue) -> Caveat:
    """Read a caveat. Raises Malformed (`caveat.unknown`, `caveat.malformed`): an unreadable caveat refuses
    everything."""
    # `true` and `1.0` equal 1 in Python, and neither is a valid tag.
    if not isinstance(wire, list) or not wire or type(wire[0]) is not int:
        raise CAVEAT_MALFORMED("a caveat must be a list that starts with its integer tag")
    match wire:
        case [1, [*ids]] if texts := _texts(ids):
            return ResourceIn(ids=texts)
        case [2, str(name), str() | int() | bool() as value]:
            return ArgumentEquals(name=name, value=value)
        case [3, str(name), int(maximum)] if not isinstance(maximum, bool):
            return ArgumentAtMost(name=name, maximum=maximum)
        case [4, str(environment)]:
            return EnvironmentIs(environment=environment)
        case [5, str(kind), [*allowed]] if (found := _destination(kind, _texts(allowed))) is not None:
            return found
        case [6, str(ceiling)] if ceiling in SENSITIVITIES:
            return SensitivityAtMost(ceiling=next(one for one in SENSITIVITIES if one == ceiling))
        case [7, [*kinds]] if (texts := _texts(kinds)) and set(texts) <= set(ACTION_KINDS):
            return KindIn(kinds=tuple(kind for text in texts for kind in ACTION_KINDS if kind == text))
        case [8, [*servers]] if texts := _texts(servers):
            return SystemIn(servers=texts)
    if wire[0] in TAGS:
        raise CAVEAT_MALFORMED(f"caveat with tag {wire[0]} does not have the fields of that tag")
    raise CAVEAT_UNKNOWN(f"caveat tag {wire[0]} is unknown, so the mandate is refused")


def _texts(values: list[JSONValue]) -> tuple[str, ...]:
    """Return the values if all are text, otherwise an empty tuple."""
    texts = tuple(one for one in values if isinstance(one, str))
    return texts if len(texts) == len(values) else ()


def _destination(kind: str, allowed: tuple[str, ...]) -> DestinationIn | None:
    """Return None for a destination that is not in canonical spelling: two readers could take it for two
    destinations."""
    found = next((one for one in DESTINATION_TYPES if one == kind), None)
    if found is None or not allowed:
        return None
    try:
        return DestinationIn(type=found, allowed=tuple(checked_allowed(found, one) for one in allowed))
    except Malformed:
        return None


def _to(kind: str, allowed: tuple[str, ...]) -> str:
    what = {"email": "mail to ", "host": "host ", "name": "destination "}[kind]
    return f"{what}{_listed(allowed)}"


def _verb(kind: ActionKind) -> str:
    return KIND_VERBS.get(kind, kind)


def _listed(ids: tuple[str, ...]) -> str:
    quoted = [shown(i, 40) for i in ids[:3]]
    return ", ".join(quoted) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
