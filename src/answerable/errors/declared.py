"""Every declared code, by id."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from answerable.errors import codes
from answerable.errors.code import Code, DecisionCode, RefusedCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.errors.code import Beyond


@cache
def codes_declared() -> Mapping[str, tuple[Code, ...]]:
    """Return the codes of all modules; an id may be declared for several branches."""
    found: dict[str, tuple[Code, ...]] = {}
    for module in iter_modules(codes.__path__):
        for code in vars(import_module(f"{codes.__name__}.{module.name}")).values():
            if isinstance(code, Code):
                found[code.id] = (*found.get(code.id, ()), code)
    return found


def beyond_of(code: str) -> Beyond | None:
    """Return what an action that was refused with this code was outside of; None for an id that is not declared, which
    is that of a policy or rule of an organisation's own."""
    known = codes_declared().get(code)
    if known is None:
        return None
    said = (one.beyond for one in known if isinstance(one, RefusedCode | DecisionCode))
    return next((one for one in said if one), "")
