"""Recognise arguments that contain secrets by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

SECRET_WORDS: Final = ("token", "secret", "password", "passwd", "apikey", "credential", "privatekey")
"""An argument whose name contains one of these words, ignoring case, `_` and `-`, contains a secret."""
_COUNTED: Final = "token"
"""A number under a name with this word, such as `max_tokens`, is a count and not a secret; incident responders need
it."""


def is_secret(name: str, value: JSONValue) -> bool:
    """Whether a member of this name and value is a secret. Booleans, null and token counts are not."""
    plain = name.lower().replace("_", "").replace("-", "")
    words = [word for word in SECRET_WORDS if word in plain]
    if value is None or isinstance(value, bool):
        return False
    is_count = isinstance(value, int | float) and not plain.endswith(_COUNTED)
    return bool(words) and not (is_count and words == [_COUNTED])
