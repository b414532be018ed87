"""List the rights of a scope on Redis, and derive from a command's arguments which of them it used.

A command that a lease may have reaches no key outside its arguments (see `commands`). So a key that no argument names
was not used; an argument that merely looks like a key counts as one.
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
        """List reading and writing of keys, commands and channels, part by part."""
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
        """Return the grants reduced to `kept`. An empty part is removed; the next part takes the place of a removed
        first one."""
        made: list[dict[str, JSONValue]] = []
        for where, part in _parts(grants):
            left = {
                "keys": [*_kept_keys(part, where, kept)],
                "commands": [one for i, one in listed(part, "commands") if f"{where}commands/{i}" in kept],
                "channels": [one for i, one in listed(part, "channels") if f"{where}channels/{i}" in kept],
            }
            if not left["keys"] or not left["commands"]:
                # Keys without commands, or commands without keys, grant nothing, and the target refuses them.
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
    """Return what a command may have used of one part: nothing, unless the part has both the command and one of its
    keys."""
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
    """Yield each part with the prefix of its right ids."""
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
    """Whether the place covers this key or channel."""
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
