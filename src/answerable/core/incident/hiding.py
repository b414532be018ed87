"""Arguments are kept in the ledger as they were; whoever only reads on does not need the secrets among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

HIDDEN: Final = "(hidden)"
SECRET_WORDS: Final = ("token", "secret", "password", "passwd", "apikey", "credential", "privatekey")
"""An argument whose name contains one of these, whatever its case and without `_` and `-`, holds a secret."""
_COUNTED: Final = "token"
"""What is counted under this word, such as `max_tokens`, tells a responder how much was used up, and is none."""


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


def is_secret(name: str, value: JSONValue) -> bool:
    """Whether a member of this name holds a secret: not where it says yes, no or nothing, or how many tokens."""
    plain = name.lower().replace("_", "").replace("-", "")
    words = [word for word in SECRET_WORDS if word in plain]
    if value is None or isinstance(value, bool):
        return False
    is_count = isinstance(value, int | float) and not plain.endswith(_COUNTED)
    return bool(words) and not (is_count and words == [_COUNTED])
