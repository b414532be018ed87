"""Check the scope of a lease on Redis, and turn it into rules for `ACL SETUSER`.

Laws: every text of a scope is a literal, with pattern characters escaped, so that a value from an agent stays one name;
only the member name `prefix` makes a pattern open, never a text. A command outside `commands.COMMANDS` is never
granted. A text that the server could read in two ways, or differently from its ACL file, is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from answerable.adapters.redis_acl.commands import COMMANDS, PUBLISH
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

Access = Literal["read", "write", "both"]

TEXT_BYTES_MAX: Final = 1024
PLACES_MAX: Final = 64
PARTS_MAX: Final = 8

_SIGNS: Final[dict[Access, str]] = {"read": "%R~", "write": "%W~", "both": "%RW~"}
_SPECIAL: Final = re.compile(r"[*?\[\]\\^]")
_UNWRITABLE: Final = re.compile(r"[\s\"'()\x00-\x1f\x7f]")
"""Spaces, quotes and parentheses separate a user's rules when the server reads them back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One key or channel, or all whose names begin with `text` and, if given, end with `suffix`."""

    text: str
    is_open: bool = False
    suffix: str = ""
    access: Access = "read"

    def pattern(self) -> str:
        """Return a Redis pattern that matches exactly these names."""
        text = _SPECIAL.sub(_escaped, self.text)
        return f"{text}*{_SPECIAL.sub(_escaped, self.suffix)}" if self.is_open else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Commands with the keys that only these commands may name, and channels."""

    keys: tuple[Place, ...]
    commands: tuple[str, ...]
    channels: tuple[Place, ...]

    def rules(self) -> list[str]:
        """Return the arguments of `ACL SETUSER` that add these rights."""
        rules = [_SIGNS[key.access] + key.pattern() for key in self.keys]
        rules += ["&" + channel.pattern() for channel in self.channels]
        rules += ["+" + command for command in self.commands]
        return rules + (["+" + PUBLISH] if self.channels else [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """All rights of one lease. Each part grants its rights independently."""

    parts: tuple[Part, ...]

    def rules(self) -> list[str]:
        """Return the arguments of `ACL SETUSER` for a user without rights. The first part becomes the user's root
        permissions, the others become selectors."""
        first, *others = self.parts
        return first.rules() + [f"({' '.join(['-@all', *part.rules()])})" for part in others]


def checked_grants(scope: Scope) -> tuple[Grants | None, tuple[str, ...]]:
    """Return the grants of a scope, or None and the faults, worded so that they say what to write."""
    given = scope.thaw()
    faults: list[str] = []
    if not isinstance(given, dict):
        return None, ("grants of Redis are an object with `keys` and `commands`, or `channels`",)
    own = {name: one for name, one in given.items() if name != "also"}
    also = given.get("also", [])
    if not isinstance(also, list) or len(also) >= PARTS_MAX:
        return None, (f"`also` is a list of at most {PARTS_MAX - 1} objects like the grants themselves",)
    parts = [
        _part(one, faults, where)
        for where, one in [("", own), *((f"also[{i}].", a) for i, a in enumerate(also))]
    ]
    if faults:
        return None, tuple(faults)
    return Grants(parts=tuple(part for part in parts if part is not None)), ()


def _part(given: JSONValue, faults: list[str], where: str) -> Part | None:
    if not isinstance(given, dict):
        faults.append(f"{where or 'grants '}is no object")
        return None
    faults += [
        f"{where}{shown(name, 40)} is not known" for name in given.keys() - {"keys", "commands", "channels"}
    ]
    keys = tuple(_places(given.get("keys", []), "key", faults, where + "keys"))
    channels = tuple(_places(given.get("channels", []), "channel", faults, where + "channels"))
    commands = tuple(_commands(given.get("commands", []), faults, where + "commands"))
    if bool(keys) != bool(commands) or not (keys or channels):
        faults.append(f"{where}grants need both `keys` and `commands`, or `channels`")
    return Part(keys=keys, commands=commands, channels=channels)


def _commands(given: JSONValue, faults: list[str], where: str) -> Iterator[str]:
    if not isinstance(given, list) or len(given) > len(COMMANDS):
        faults.append(f"`{where}` is a list of names of commands")
        return
    for name in given:
        if isinstance(name, str) and name in COMMANDS:
            yield name
        else:
            faults.append(
                f"`{where}` has {shown(name, 40)}, which no lease may have: a command in lower case that reads or "
                "writes the keys it names, and does nothing else"
            )


def _places(given: JSONValue, kind: str, faults: list[str], where: str) -> Iterator[Place]:
    if not isinstance(given, list) or len(given) > PLACES_MAX:
        faults.append(f"`{where}` is a list of at most {PLACES_MAX} objects")
        return
    for number, one in enumerate(given):
        found = _place(one, kind)
        if isinstance(found, Place):
            yield found
        else:
            faults.append(f"`{where}[{number}]` {found}")


def _place(given: JSONValue, kind: str) -> Place | str:
    """Return the place, or the fault in it."""
    wanted = f"has `{kind}` for one name, or `prefix` (and `suffix`) for all that begin (and end) so"
    if not isinstance(given, dict):
        return wanted
    known = {kind, "prefix", "suffix"} | ({"access"} if kind == "key" else set())
    if (
        (kind in given) == ("prefix" in given)
        or given.keys() - known
        or (kind in given and "suffix" in given)
    ):
        return wanted
    text, suffix = given.get(kind, given.get("prefix")), given.get("suffix", "")
    for one in (text, suffix):
        if not isinstance(one, str) or len(one.encode()) > TEXT_BYTES_MAX or _UNWRITABLE.search(one):
            return (
                f"is {shown(one, 40)}, which Redis cannot be told: a text of at most {TEXT_BYTES_MAX} bytes without "
                "spaces, quotes, parentheses and control characters"
            )
    access = given.get("access", "read")
    if not isinstance(access, str) or access not in _SIGNS:
        return "has an `access` that is none of `read`, `write` and `both`"
    if not text:
        return f"is open to every {kind}: say how the names begin"
    return Place(text=str(text), is_open="prefix" in given, suffix=str(suffix), access=_access(access))


def _access(text: str) -> Access:
    return "read" if text == "read" else "write" if text == "write" else "both"


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[0]
