"""Asking for less instead: which arguments of an action are a limit, and whether other arguments are narrower.

What an approver proposes is no answer to anything: it is a no with other arguments beside it, and when the agent asks
with them, that is another action, which is decided and asked about like any.

Laws: nothing is added, taken away or changed but what the registry says is a limit: an amount of money, the most of a
budget, or a list; a number gets smaller and stays above zero, for zero often means no limit; a list keeps some of what
it names, in its order, and never nothing; what says whom or what the action is about is no limit.
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
"""Arguments of one action that are offered."""
ITEMS_MAX: Final = 200
"""Of one list that is offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowable:
    """An argument that may be less. value: as it stands, a whole number of two or more, or two or more texts."""

    name: str
    value: int | tuple[str, ...]


def narrowable_arguments(capability: Capability, arguments: dict[str, JSONValue]) -> tuple[Narrowable, ...]:
    """Those of this action, in the registry's order."""
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
    """All arguments after these changes, by the registry's names. Raises Refused (`approval.not_narrower`)."""
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
    """Names of arguments by which the registry says how much: never those that say whom or what it is about."""
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
    """What is wrong with a proposed value; empty where it is less."""
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
    """Whether it is what is left of the list when some of it is left out."""
    rest = iter(was)
    return all(any(one == other for other in rest) for one in kept)


def _not(why: str) -> Refused:
    return APPROVAL_NOT_NARROWER(f"this is not narrower: {why}")
