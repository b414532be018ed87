"""Hide secrets in arguments for display. The ledger stores arguments unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.action.secret_names import is_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

HIDDEN: Final = "(hidden)"


def hidden(value: JSONValue) -> JSONValue:
    """Return the value with `(hidden)` in place of every member, at any depth, whose name marks it as a secret.

    Raises RecursionError for a value nested deeper than Python's call limit.
    """
    if isinstance(value, dict):
        return {name: HIDDEN if is_secret(name, below) else hidden(below) for name, below in value.items()}
    if isinstance(value, list):
        return [hidden(below) for below in value]
    return value


def payload_to_show(payload: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """Return an entry's payload with the secrets in its action's arguments hidden, if it has an action."""
    action = payload.get("action")
    if not isinstance(action, dict) or "arguments" not in action:
        return dict(payload)
    return {**payload, "action": {**action, "arguments": hidden(action["arguments"])}}
