"""Quote names and values for MariaDB so that each is exactly one token.

Laws: values are sent in hexadecimal, so that no character set and no `sql_mode` changes them; a text that MariaDB does
not accept as a name is refused.
"""

from __future__ import annotations

import hashlib
from typing import Final

NAME_CHARS_MAX: Final = 64
_BASIC_PLANE_MAX: Final = "\uffff"


def is_name(text: str) -> bool:
    """Whether MariaDB accepts the text unchanged as a name: only characters of the basic plane, and no trailing
    blank."""
    return (
        0 < len(text) <= NAME_CHARS_MAX
        and text == text.rstrip(" ")
        and all("\0" < one <= _BASIC_PLANE_MAX and not "\ud800" <= one <= "\udfff" for one in text)
    )


def quoted_name(text: str) -> str:
    """Return the name as a quoted identifier. Raises ValueError for an invalid name."""
    if not is_name(text):
        raise ValueError("not a name in MariaDB")
    return "`" + text.replace("`", "``") + "`"


def hexed(text: str) -> str:
    """Return a text as an SQL expression. Raises UnicodeEncodeError for lone surrogates."""
    return f"CONVERT(X'{text.encode().hex()}' USING utf8mb4)"


def native_hash(password: str) -> str:
    """Return the password hash that the server stores, so that no statement contains the password. The plugin
    prescribes SHA-1, which is sufficient because the password has 256 random bits."""
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
