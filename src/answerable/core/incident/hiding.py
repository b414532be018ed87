"""Arguments are kept in the ledger as they were; whoever only reads on does not need the secrets among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

HIDDEN: Final = "(hidden)"
SECRET_WORDS: Final = ("token", "secret", "password", "passwd", "apikey", "credential", "privatekey")
"""An argument whose name contains one of these, whatever its case and without `_` and `-`, holds a secret."""


def hidden(value: JSONValue) -> JSONValue:
    """The value with `(hidden)` in place of every member, at any depth, whose name says that it is a secret.

    Raises RecursionError for what is nested deeper than Python calls.
    """
    if isinstance(value, dict):
        return {name: HIDDEN if _is_secret(name) else hidden(below) for name, below in value.items()}
    if isinstance(value, list):
        return [hidden(below) for below in value]
    return value


def payload_to_show(payload: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """An entry's payload with the secrets hidden among the arguments of its action, if it has any."""
    action = payload.get("action")
    if not isinstance(action, dict) or "arguments" not in action:
        return dict(payload)
    return {**payload, "action": {**action, "arguments": hidden(action["arguments"])}}


def _is_secret(name: str) -> bool:
    plain = name.lower().replace("_", "").replace("-", "")
    return any(word in plain for word in SECRET_WORDS)
