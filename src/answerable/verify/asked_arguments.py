"""The arguments of a recorded action, by the names that policies and mandates knew them by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.decision.argument_values import decimal_value
from answerable.core.registry.documents.pointing import named_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.decision.asked import Asked

HIDDEN: Final = b"[hidden: "
"""Where a credential was left out."""


def arguments_in(request: bytes | None, asked: Asked) -> dict[str, Any] | None:
    """Of an action as it was frozen, by the names that policies and mandates know them by; None where it is not shown,
    or a credential was left out of it."""
    arguments = sent_in(request)
    return None if arguments is None else named_by(asked, arguments)


def named_by(asked: Asked, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments by their names: as the question says that the capability mapped them; or, where it does not, the
    arguments, and over them those that the question has."""
    mappings = asked.mappings()
    return _overlaid(asked, arguments) if mappings is None else named_arguments(mappings, arguments)


def surely_named(asked: Asked, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Of arguments by their names, without those at the top whose names may be of something deeper: a question from
    before the mapping was written down does not say."""
    if asked.mapping is not None:
        return dict(arguments)
    return {name: value for name, value in arguments.items() if name in asked.context["arguments"]}


def _overlaid(asked: Asked, arguments: Mapping[str, Any]) -> dict[str, Any]:
    named = dict(arguments)
    for name, value in asked.context["arguments"].items():
        # Of a decimal the question has another spelling, which is the same number. Whatever else an agent put under the
        # name of what lies deeper was never seen by that name.
        if not (isinstance(value, dict) and decimal_value(named.get(name)) == value):
            named[name] = value["__extn"]["arg"] if isinstance(value, dict) else value
    return named


def sent_in(request: bytes | None) -> dict[str, Any] | None:
    """Of an action as it was frozen, and no other names; None as `arguments_in` says."""
    if request is None or HIDDEN in request:
        return None
    value = msgspec.json.decode(request)
    arguments = value.get("arguments") if isinstance(value, dict) else None
    return arguments if isinstance(arguments, dict) else None
