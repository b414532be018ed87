"""Lease templates: what the credential of a capability may do at its target and for how long, with placeholders for the
action.

Laws: a placeholder is a whole pair of braces in a text; names of members, numbers and lists are never filled in; a
placeholder is filled from the decided action, or no credential is minted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_PLACEHOLDER

if TYPE_CHECKING:
    from answerable.core.canonical import FrozenJSON, JSONValue

LeaseWindow = Literal["action", "task"]
LEASE_WINDOWS: Final[tuple[LeaseWindow, ...]] = get_args(LeaseWindow)
PLACEHOLDER: Final = re.compile(r"\{(resource|mandate|agent|argument\.[A-Za-z_][A-Za-z0-9_.-]{0,63})\}")
ARGUMENT: Final = "argument."
TEXTS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTemplate:
    """A lease template. window: whether a lease serves one action or a task. ttl_seconds: its longest lifetime; 0 for
    the window's default. grants: a JSON object in the target's own grammar. model: the argument that names a language
    model, which must be the model of the agent's manifest; empty for none."""

    window: LeaseWindow
    ttl_seconds: int
    grants: FrozenJSON
    model: str = ""


def holes_in(grants: JSONValue) -> tuple[str, ...]:
    """Return the names of the placeholders, in order of appearance, each once.

    Raises Malformed (`lease.placeholder`) for a brace that is not part of a placeholder.
    """
    found: list[str] = []
    for text in _texts(grants):
        rest = PLACEHOLDER.sub("", text)
        if "{" in rest or "}" in rest:
            raise LEASE_PLACEHOLDER(
                f"{shown(text)} has a brace that is no placeholder: there are {{resource}}, {{mandate}}, {{agent}} and "
                "{argument.NAME}"
            )
        found += PLACEHOLDER.findall(text)
    return tuple(dict.fromkeys(found))


def _texts(part: JSONValue) -> list[str]:
    left, found = [part], []
    while left:
        one = left.pop(0)
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, list):
            left += one
        elif isinstance(one, dict):
            if any(PLACEHOLDER.search(name) for name in one):
                raise LEASE_PLACEHOLDER("a member name must not have placeholders")
            left += one.values()
        elif one is None:
            raise LEASE_PLACEHOLDER("a grant must not be empty")
        if len(found) > TEXTS_MAX:
            raise LEASE_PLACEHOLDER(f"grants have more than {TEXTS_MAX} texts")
    return found
