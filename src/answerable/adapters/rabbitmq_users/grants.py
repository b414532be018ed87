"""Check the scope of a lease on RabbitMQ, and turn it into permission patterns.

Laws: every text of a scope is a literal, escaped and anchored at both ends, so that a value from an agent stays one
name; only the member name `prefix` makes a pattern open, never a text. The default exchange, which reaches every queue,
is never granted, nor is creating or deleting anything. No name is both an exchange and a queue: a permission does not
distinguish them, and with both rights the two could be bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

NAME_BYTES_MAX: Final = 255
PLACES_MAX: Final = 32
NOTHING: Final = r"\A(?!)"
"""Matches no name. An empty pattern would, too, but only by a special case of the server."""

_PREDECLARED: Final = frozenset({"amq.topic", "amq.direct", "amq.fanout", "amq.headers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An exchange to publish on. keys: patterns of routing keys, for a topic exchange; None for any key."""

    name: str
    keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """All rights of one lease."""

    publish: tuple[Exchange, ...]
    queues: tuple[str, ...]

    def permissions(self) -> dict[str, JSONValue]:
        """Return the permissions on the virtual host."""
        return {
            "configure": NOTHING,
            "write": whole(re.escape(exchange.name) for exchange in self.publish),
            "read": whole(re.escape(queue) for queue in self.queues),
        }

    def topic_permissions(self) -> list[dict[str, JSONValue]]:
        """Return the topic permissions, one for each exchange with limited routing keys."""
        return [
            {"exchange": one.name, "write": whole(one.keys), "read": NOTHING}
            for one in self.publish
            if one.keys is not None
        ]


def whole(patterns: Iterable[str]) -> str:
    """Return a pattern for names that one of the patterns matches completely. `$` would also match before a final
    newline."""
    one_of = "|".join(patterns)
    return rf"\A(?:{one_of})\z" if one_of else NOTHING


def checked_grants(scope: Scope) -> tuple[Grants | None, tuple[str, ...]]:
    """Return the grants of a scope, or None and the faults, worded so that they say what to write."""
    given = scope.thaw()
    if not isinstance(given, dict):
        return None, ("grants of RabbitMQ are an object with `publish`, `get` or both",)
    faults = [f"{shown(name, 40)} is not known" for name in sorted(given.keys() - {"publish", "get"})]
    publish = tuple(_exchange(one, where, faults) for where, one in _places(given, "publish", faults))
    queues = tuple(_queue(one, where, faults) for where, one in _places(given, "get", faults))
    names = [exchange.name for exchange in publish]
    if not faults and not names and not queues:
        faults.append("grants need an exchange in `publish` or a queue in `get`")
    if len(set(names)) < len(names):
        faults.append("`publish` has an exchange twice")
    if not faults and set(names) & set(queues):
        faults.append(
            "an exchange in `publish` and a queue in `get` have one name, which RabbitMQ could bind"
        )
    return (None, tuple(faults)) if faults else (Grants(publish=publish, queues=queues), ())


def _places(given: dict[str, JSONValue], member: str, faults: list[str]) -> list[tuple[str, JSONValue]]:
    listed = given.get(member, [])
    if not isinstance(listed, list) or len(listed) > PLACES_MAX:
        faults.append(f"`{member}` is a list of at most {PLACES_MAX} objects")
        return []
    return [(f"`{member}[{number}]`", one) for number, one in enumerate(listed)]


def _exchange(given: JSONValue, where: str, faults: list[str]) -> Exchange:
    if not isinstance(given, dict) or given.keys() - {"exchange", "routing_keys"}:
        faults.append(f"{where} has `exchange` and, for a topic exchange, `routing_keys`")
        return Exchange(name="")
    name = _named(given.get("exchange"), where, faults)
    if name.startswith("amq.") and name not in _PREDECLARED:
        faults.append(f"{where} is the server's own exchange {shown(name, 40)}")
    if "routing_keys" not in given:
        return Exchange(name=name)
    listed = given["routing_keys"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= PLACES_MAX:
        faults.append(f"{where} has `routing_keys`, a list of 1 to {PLACES_MAX} objects")
        return Exchange(name=name)
    return Exchange(name=name, keys=tuple(_key(one, where, faults) for one in listed))


def _key(given: JSONValue, where: str, faults: list[str]) -> str:
    if isinstance(given, dict) and len(given) == 1:
        if "key" in given:
            return re.escape(_named(given["key"], where, faults))
        if "prefix" in given:
            return re.escape(_named(given["prefix"], where, faults)) + ".*"
    faults.append(
        f"{where} has a routing key that is neither `key`, for one, nor `prefix`, for all that begin so"
    )
    return ""


def _queue(given: JSONValue, where: str, faults: list[str]) -> str:
    if not isinstance(given, dict) or given.keys() != {"queue"}:
        faults.append(f"{where} has `queue`")
        return ""
    name = _named(given["queue"], where, faults)
    if name.startswith("amq."):
        faults.append(f"{where} is the server's own queue {shown(name, 40)}")
    return name


def _named(given: JSONValue, where: str, faults: list[str]) -> str:
    if isinstance(given, str) and given.isprintable() and 1 <= len(given.encode()) <= NAME_BYTES_MAX:
        return given
    faults.append(f"{where} has a name that is no text of 1 to {NAME_BYTES_MAX} bytes that can be printed")
    return ""
