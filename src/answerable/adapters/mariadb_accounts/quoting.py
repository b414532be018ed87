"""Names and values as MariaDB spells them, so that none of them is ever more than one token.

Laws: values travel in hexadecimal, so that no character set and no `sql_mode` changes what they are; what the server
cannot take for a name does not come out.
"""

from __future__ import annotations

import hashlib
from typing import Final

NAME_CHARS_MAX: Final = 64
_BASIC_PLANE_MAX: Final = "\uffff"


def is_name(text: str) -> bool:
    """Whether the server takes it for a name as it is: it knows the basic plane only, and no blank at the end."""
    return (
        0 < len(text) <= NAME_CHARS_MAX
        and text == text.rstrip(" ")
        and all("\0" < one <= _BASIC_PLANE_MAX and not "\ud800" <= one <= "\udfff" for one in text)
    )


def quoted_name(text: str) -> str:
    """As one identifier. Raises ValueError for what is no name."""
    if not is_name(text):
        raise ValueError("not a name in MariaDB")
    return "`" + text.replace("`", "``") + "`"


def hexed(text: str) -> str:
    """A text as an expression. Raises UnicodeEncodeError for lone surrogates."""
    return f"CONVERT(X'{text.encode().hex()}' USING utf8mb4)"


def native_hash(password: str) -> str:
    """As the server stores it, so that no statement has the password. SHA-1 is the plugin's; 256 random bits stand
    behind it."""
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
