"""What the registry declares of capabilities by which their actions are found: the money that one moves, and the
resource that it is about.

Laws: an action counts as the registry declared it when its entry was written; what the registry does not declare, or
cannot be decrypted, is not guessed; an argument that does not have the declared form says nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.registry.documents.budget_name import MONEY, is_amount, money_in
from answerable.core.registry.documents.pointing import POINTER, value_at
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

    Members = Mapping[str, JSONValue]

_KEY: Final = "Capability/"
"""How the documents of capabilities are called in a registry change."""


class Money(NamedTuple):
    """An amount. currency: three capital letters, and the amount is in its minor units; empty where no currency is
    known."""

    amount: int | None = None
    currency: str = ""


NOTHING_MOVED: Final = Money()


class Declared(NamedTuple):
    """One capability. amount, resource: as its document declares them; None for an amount that is not declared.
    pointers: where arguments are that are not at the top, by name."""

    amount: Members | None = None
    resource: Members | None = None
    pointers: Mapping[str, str] | None = None

    def money(self, arguments: Members) -> Money:
        """Return the money that an action moves, where it is declared and the arguments say it."""
        declared = self.amount or {}
        argument, fixed = declared.get("argument"), declared.get("fixed")
        value = arguments.get(argument) if isinstance(argument, str) else fixed
        if type(value) is not int or not is_amount(value) or (value == 0 and fixed is not None):
            return NOTHING_MOVED
        named = declared.get("currencyArgument")
        currency = arguments.get(named) if isinstance(named, str) else declared.get("currency")
        with suppress(Malformed):
            return Money(value, money_in(currency if isinstance(currency, str) else "").removeprefix(MONEY))
        return Money(value)

    def resource_of(self, arguments: Members) -> str:
        """Return the id of the resource, as policy would be told it; empty where the arguments do not name one."""
        declared = self.resource or {}
        argument, fixed = declared.get("argument"), declared.get("fixed")
        value = arguments.get(argument) if isinstance(argument, str) else fixed
        if type(value) is int:
            return str(value)
        return value if isinstance(value, str) else ""

    def named(self, arguments: Members) -> Members:
        """Return the arguments of a request with those that the capability names by a pointer."""
        found = dict(arguments)
        for name, pointer in (self.pointers or {}).items():
            found.pop(name, None)
            value = value_at(dict(arguments), pointer)
            if value is not None:
                found[name] = value
        return found


UNDECLARED: Final = Declared()


def declared_in(fields: Members | None) -> dict[str, Declared]:
    """Return what a registry change declares of capabilities, by name. fields: as `payload_of` returns them. A removed
    capability keeps what was declared: later refusals still name it."""
    changes = (fields or {}).get("changes")
    found: dict[str, Declared] = {}
    for key, document in changes.items() if isinstance(changes, dict) else ():
        spec = document.get("spec") if isinstance(document, dict) else None
        if key.startswith(_KEY) and isinstance(spec, dict):
            found[key.removeprefix(_KEY)] = _declared(spec)
    return found


def _declared(spec: Members) -> Declared:
    amount, resource, arguments = spec.get("amount"), spec.get("resource"), spec.get("arguments")
    pointers: dict[str, str] = {}
    for one in arguments if isinstance(arguments, list) else ():
        name, pointer = (one.get("name"), one.get("pointer")) if isinstance(one, dict) else (None, None)
        if isinstance(name, str) and isinstance(pointer, str) and POINTER.fullmatch(pointer):
            pointers[name] = pointer
    return Declared(
        amount=amount if isinstance(amount, dict) else None,
        resource=resource if isinstance(resource, dict) else None,
        pointers=pointers,
    )
