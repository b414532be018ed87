"""Recover the arguments of a recorded action, under the names that policies and mandates use for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.decision.argument_values import decimal_value
from answerable.core.registry.documents.pointing import named_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.decision.asked import Asked

HIDDEN: Final = b"[hidden: "
"""Marks the place where a credential was removed."""


def arguments_in(request: bytes | None, asked: Asked) -> dict[str, Any] | None:
    """Return the arguments of a frozen action, by the names that policies and mandates use. Return None if the action
    is not disclosed or a credential was removed from it."""
    arguments = sent_in(request)
    return None if arguments is None else named_by(asked, arguments)


def named_by(asked: Asked, arguments: dict[str, Any]) -> dict[str, Any]:
    """Rename the arguments by the mappings that the recorded request contains. If it contains none, overlay the
    arguments with those of the recorded request."""
    mappings = asked.mappings()
    return _overlaid(asked, arguments) if mappings is None else named_arguments(mappings, arguments)


def surely_named(asked: Asked, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return named arguments, without the top-level names that could belong to a nested value: recorded requests from
    before mappings were recorded do not tell the two apart."""
    if asked.mapping is not None:
        return dict(arguments)
    return {name: value for name, value in arguments.items() if name in asked.context["arguments"]}


def _overlaid(asked: Asked, arguments: Mapping[str, Any]) -> dict[str, Any]:
    named = dict(arguments)
    for name, value in asked.context["arguments"].items():
        # The recorded request spells a decimal differently; it is the same number. Policies never saw another value
        # that the agent sent under the name of a nested argument.
        if not (isinstance(value, dict) and decimal_value(named.get(name)) == value):
            named[name] = value["__extn"]["arg"] if isinstance(value, dict) else value
    return named


def sent_in(request: bytes | None) -> dict[str, Any] | None:
    """Return the arguments of a frozen action under the names that the agent sent. Return None as `arguments_in`
    does."""
    if request is None or HIDDEN in request:
        return None
    value = msgspec.json.decode(request)
    arguments = value.get("arguments") if isinstance(value, dict) else None
    return arguments if isinstance(arguments, dict) else None
