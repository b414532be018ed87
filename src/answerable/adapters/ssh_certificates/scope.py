"""Parse the scope of an SSH lease: one command, as one login, on one host.

Laws: a scope is accepted as a whole or not at all; a command is a list, whose items stay single arguments whatever they
contain; an operand never becomes an option; no path contains `..`, so that a filled-in value stays below the path
before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Collection

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.scope import Scope

ITEMS_MAX: Final = 64
COMMAND_CHARS_MAX: Final = 4_096
REVOKER: Final = "answerable-revocation"
"""The login name in the principal with which the broker itself revokes; no scope may name it."""
LOGIN: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_MEMBERS: Final = frozenset({"host", "login", "command"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SSHGrant:
    """The rights of one certificate."""

    host: str
    login: str
    command: tuple[str, ...]


def principal_of(login: str, host: str) -> str:
    """Return the principal that a host lists for a login: a certificate for one host is refused by all others."""
    return f"{login}@{host}"


def grant_faults(scope: Scope, hosts: Collection[str]) -> tuple[str, ...]:
    """Return the faults of a scope, worded so that they say what to write; empty for none."""
    value = scope.thaw()
    if not isinstance(value, dict) or set(value) != _MEMBERS:
        return ("a scope has the members `host`, `login` and `command`, and no other",)
    faults: list[str] = []
    host, login = value["host"], value["login"]
    if not isinstance(host, str) or host not in hosts:
        faults.append(f"`host` {shown(host, 63)} is none of the target's hosts: {', '.join(sorted(hosts))}")
    if not isinstance(login, str) or not LOGIN.fullmatch(login) or login == REVOKER:
        faults.append(f"`login` {shown(login, 40)} is no login: 1 to 32 of a-z 0-9 _ -, a letter first")
    found = command_faults(value["command"])
    command = value["command"] if isinstance(value["command"], list) and not found else []
    found += (
        f"{shown(_item(item), 80)} has a segment `..`, by which a value would lead to another place: write the path "
        "that is meant"
        for item in command
        if ".." in _item(item).split("/")
    )
    return (*faults, *found)


def grant_of(scope: Scope, hosts: Collection[str]) -> SSHGrant:
    """Return the grant of a scope. Raises Refused (`lease.scope`) with every fault."""
    faults = grant_faults(scope, hosts)
    value = scope.thaw()
    if faults or not isinstance(value, dict) or not isinstance(value["command"], list):
        raise LEASE_SCOPE(faults[0], reasons=faults)
    command = tuple(_item(item) for item in value["command"])
    return SSHGrant(host=str(value["host"]), login=str(value["login"]), command=command)


def command_faults(command: JSONValue) -> list[str]:
    """Return the faults of a command, as scopes and callers write it."""
    if not isinstance(command, list) or not 1 <= len(command) <= ITEMS_MAX:
        return [f"`command` is a list of 1 to {ITEMS_MAX} items, the program first"]
    faults = []
    for number, item in enumerate(command):
        text = item.get("operand") if isinstance(item, dict) and set(item) == {"operand"} else item
        if not isinstance(text, str) or not (text == "" or text.isprintable()):
            faults.append(
                f'item {number} of `command` is no text of printable characters, nor {{"operand": TEXT}}'
            )
        elif text is not item and (text == "" or text.startswith("-")):
            faults.append(f"the operand {shown(text, 40)} is empty or would be taken for an option")
    if not faults and not _item(command[0]).startswith("/"):
        faults.append(f"the program {shown(_item(command[0]), 80)} needs its whole path")
    if not faults and sum(len(_item(item)) for item in command) > COMMAND_CHARS_MAX:
        faults.append(f"`command` has more than {COMMAND_CHARS_MAX} characters")
    return faults


def _item(item: JSONValue) -> str:
    return str(item["operand"]) if isinstance(item, dict) else str(item)
