"""Which arguments hold secrets by what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

SECRET_WORDS: Final = ("token", "secret", "password", "passwd", "apikey", "credential", "privatekey")
"""An argument whose name contains one of these, whatever its case and without `_` and `-`, holds a secret."""
_COUNTED: Final = "token"
"""What is counted under this word, such as `max_tokens`, tells a responder how much was used up, and is none."""


def is_secret(name: str, value: JSONValue) -> bool:
    """Whether a member of this name holds a secret: not where it says yes, no or nothing, or how many tokens."""
    plain = name.lower().replace("_", "").replace("-", "")
    words = [word for word in SECRET_WORDS if word in plain]
    if value is None or isinstance(value, bool):
        return False
    is_count = isinstance(value, int | float) and not plain.endswith(_COUNTED)
    return bool(words) and not (is_count and words == [_COUNTED])
