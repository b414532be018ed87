"""Which rights a scope on Redis has, and which of them a command used: told by its arguments, all of which are known.

A command that a lease may have reaches no key that is not among its arguments (see `commands`). So a place that none of
them names was not used; an argument that happens to read like a key counts as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.redis_acl.commands import PUBLISH, READING
from answerable.core.lease.table_rights import listed
from answerable.core.lease.use import RIGHTS_MAX, Right, Used

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

_HALVES: Final[dict[JSONValue, tuple[str, ...]]] = {
    "read": ("read",),
    "write": ("write",),
    "both": ("read", "write"),
}


class RedisRights:
    """Implements ports.target_rights.TargetRights."""

    def rights(self, grants: JSONValue) -> tuple[Right, ...]:
        """As the port says: reading and writing of keys, commands, channels, part by part."""
        found: list[Right] = []
        for where, part in _parts(grants):
            group = where.removesuffix("/")
            for number, key in listed(part, "keys"):
                found += [
                    Right(f"{where}keys/{number}/{half}", f"{half} {_said(key, 'key')}", group=group)
                    for half in _halves(key)
                ]
            found += [
                Right(f"{where}commands/{number}", f"command {name}", group=group)
                for number, name in listed(part, "commands")
            ]
            found += [
                Right(f"{where}channels/{number}", f"publish on {_said(one, 'channel')}", group=group)
                for number, one in listed(part, "channels")
            ]
        return tuple(found) if len(found) <= RIGHTS_MAX else ()

    def narrowed(self, grants: JSONValue, kept: Collection[str]) -> JSONValue:
        """As the port says. A part of which nothing is left goes; the next one takes the place of the first."""
        made: list[dict[str, JSONValue]] = []
        for where, part in _parts(grants):
            left = {
                "keys": [*_kept_keys(part, where, kept)],
                "commands": [one for i, one in listed(part, "commands") if f"{where}commands/{i}" in kept],
                "channels": [one for i, one in listed(part, "channels") if f"{where}channels/{i}" in kept],
            }
            if not left["keys"] or not left["commands"]:
                # One without the other lets nothing, and the target refuses it.
                left["keys"], left["commands"] = [], []
            if any(left.values()):
                made.append({name: value for name, value in left.items() if value})
        if not made:
            return None
        first, *others = made
        also: list[JSONValue] = [*others]
        return {**first, "also": also} if also else first

    def used(
        self, scope: Scope, tool: str, arguments: Mapping[str, JSONValue], told: JSONValue
    ) -> Used | None:
        found: set[str] = set()
        for where, part in _parts(scope.thaw()):
            if tool == PUBLISH:
                found |= {
                    f"{where}channels/{number}"
                    for number, one in listed(part, "channels")
                    if _names(one, "channel", arguments.get("channel"))
                }
            else:
                found |= _used_in(part, where, arguments)
        return Used(frozenset(found))


def _used_in(part: JSONValue, where: str, arguments: Mapping[str, JSONValue]) -> set[str]:
    """What a command may have used of one part: nothing, where the part has not both the command and a key of it."""
    command, given = arguments.get("command"), arguments.get("arguments")
    named = [f"{where}commands/{number}" for number, name in listed(part, "commands") if name == command]
    keys = {
        f"{where}keys/{number}/{half}"
        for number, key in listed(part, "keys")
        if any(_names(key, "key", one) for one in (given if isinstance(given, list) else ()))
        for half in _halves(key)
        if half == "read" or command not in READING
    }
    return {*named, *keys} if named and keys else set()


def _parts(grants: JSONValue) -> Iterator[tuple[str, JSONValue]]:
    """Each part with what its places begin with."""
    yield "", grants
    for number, one in listed(grants, "also"):
        yield f"also/{number}/", one


def _kept_keys(part: JSONValue, where: str, kept: Collection[str]) -> Iterator[JSONValue]:
    for number, key in listed(part, "keys"):
        halves = tuple(half for half in _halves(key) if f"{where}keys/{number}/{half}" in kept)
        if isinstance(key, dict) and halves == _halves(key):
            yield key
        elif isinstance(key, dict) and halves:
            yield {**key, "access": halves[0]}


def _halves(key: JSONValue) -> tuple[str, ...]:
    return _HALVES.get(key.get("access", "read"), ()) if isinstance(key, dict) else ()


def _names(place: JSONValue, kind: str, text: JSONValue) -> bool:
    """Whether this key or channel is one of the place's."""
    if not isinstance(place, dict) or not isinstance(text, str):
        return False
    if kind in place:
        return place[kind] == text
    start, end = str(place.get("prefix")), str(place.get("suffix", ""))
    return len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)


def _said(place: JSONValue, kind: str) -> str:
    if not isinstance(place, dict):
        return str(place)
    return f"{place[kind]}" if kind in place else f"{place.get('prefix')}*{place.get('suffix', '')}"
