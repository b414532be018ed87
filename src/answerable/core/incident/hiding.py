"""Arguments are kept in the ledger as they were; whoever only reads on does not need the secrets among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.action.secret_names import is_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

HIDDEN: Final = "(hidden)"


def hidden(value: JSONValue) -> JSONValue:
    """The value with `(hidden)` in place of every member, at any depth, whose name says that it is a secret.

    Raises RecursionError for what is nested deeper than Python calls.
    """
    if isinstance(value, dict):
        return {name: HIDDEN if is_secret(name, below) else hidden(below) for name, below in value.items()}
    if isinstance(value, list):
        return [hidden(below) for below in value]
    return value


def payload_to_show(payload: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """An entry's payload with the secrets hidden among the arguments of its action, if it has any."""
    action = payload.get("action")
    if not isinstance(action, dict) or "arguments" not in action:
        return dict(payload)
    return {**payload, "action": {**action, "arguments": hidden(action["arguments"])}}
