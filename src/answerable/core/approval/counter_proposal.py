"""Counter-proposals: which arguments of an action are limits, and whether proposed arguments are narrower.

A counter-proposal is no approval: it is a denial with other arguments. When the agent requests those, it is another
action, which is decided and deferred like any other.

Laws: only arguments that the registry declares as limits change: an amount of money, the maximum of a budget, or a
list; a number decreases and stays above zero, because zero often means no limit; a list keeps some of its items, in
order, and never none; an argument that identifies the recipient or object is no limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.pointing import EVERY, named_arguments, with_changed
from answerable.errors import Refused, shown
from answerable.errors.codes.approval import APPROVAL_NOT_NARROWER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability

NARROWABLE_MAX: Final = 32
"""Maximum number of arguments offered for one action."""
ITEMS_MAX: Final = 200
"""Maximum number of items of an offered list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowable:
    """An argument that may be reduced. value: the current one, a whole number of at least two, or at
    least two texts."""

    name: str
    value: int | tuple[str, ...]


def narrowable_arguments(capability: Capability, arguments: dict[str, JSONValue]) -> tuple[Narrowable, ...]:
    """Return the arguments of this action that may be reduced, in the registry's order."""
    named = named_arguments(capability.arguments, arguments)
    found: list[Narrowable] = []
    for name in _limits(capability):
        value = named.get(name)
        if type(value) is int and value > 1:
            found.append(Narrowable(name=name, value=value))
        elif isinstance(value, list) and 1 < len(value) <= ITEMS_MAX:
            texts = tuple(one for one in value if isinstance(one, str))
            if len(texts) == len(value):
                found.append(Narrowable(name=name, value=texts))
    return tuple(found[:NARROWABLE_MAX])


def narrower_arguments(
    capability: Capability, arguments: dict[str, JSONValue], changes: Mapping[str, JSONValue]
) -> dict[str, JSONValue]:
    """Return all arguments after these changes, by the registry's names. Raises Refused (`approval.not_narrower`)."""
    if not changes:
        raise _not("nothing is changed")
    offered = {one.name: one.value for one in narrowable_arguments(capability, arguments)}
    for name, value in changes.items():
        if name not in offered:
            have = f": here that is {', '.join(map(shown, offered))}" if offered else ""
            raise _not(f"{shown(name, 64)} is no amount and no list that can be less{have}")
        fault = _fault(offered[name], value)
        if fault:
            raise _not(f"{shown(name, 64)} {fault}")
    made = with_changed(capability.arguments, arguments, changes)
    if made is None:
        raise _not("one of them lies where it cannot be changed")
    return made


def _limits(capability: Capability) -> list[str]:
    """Return names of arguments that the registry declares as limits: never those that identify recipient or object."""
    spending = capability.spending
    names = [
        *([spending.amount.argument] if spending.amount is not None else []),
        *(one.argument for one in spending.reserves),
        *(one.name for one in capability.arguments if one.type in ("minor_units", "string_set")),
        *capability.destination.arguments,
    ]
    about = {capability.resource.argument, capability.subject.argument, ""}
    everywhere = {one.name for one in capability.arguments if EVERY in one.pointer.split("/")}
    return [name for name in dict.fromkeys(names) if name not in about | everywhere]


def _fault(was: int | tuple[str, ...], value: JSONValue) -> str:
    """Return what is wrong with a proposed value; empty where it is narrower."""
    if isinstance(was, int):
        if type(value) is not int:
            return "is a whole number, and so is what is proposed"
        return "" if 0 < value < was else f"must be less than {was} and more than 0"
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return "is a list of texts, and so is what is proposed"
    if not value or len(value) >= len(was) or not _in_order(value, was):
        return "must keep some of what it names, in that order, and not all of it"
    return ""


def _in_order(kept: Sequence[JSONValue], was: Iterable[str]) -> bool:
    """Whether `kept` is a subsequence of the list."""
    rest = iter(was)
    return all(any(one == other for other in rest) for one in kept)


def _not(why: str) -> Refused:
    return APPROVAL_NOT_NARROWER(f"the proposal is not narrower: {why}")
