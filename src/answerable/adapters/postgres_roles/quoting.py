"""Quote names and literals for PostgreSQL statements that take no parameters.

Laws: the result is one token, whatever the input; an input with a NUL, or a name that the server would truncate, is
refused. Literals are quoted for `standard_conforming_strings = on`, which every connection of the broker sets.
"""

from __future__ import annotations

from typing import Final

NAME_BYTES_MAX: Final = 63
"""NAMEDATALEN - 1: the server truncates a longer name, which would then denote another object."""


def is_name(text: str) -> bool:
    """Whether the server accepts the text as a name without truncation."""
    return bool(text) and "\0" not in text and len(text.encode("utf-8", "surrogatepass")) <= NAME_BYTES_MAX


def quoted_name(text: str) -> str:
    """Quote a name as one identifier. Raises ValueError for an invalid name."""
    if not is_name(text):
        raise ValueError("not a name in PostgreSQL")
    return '"' + text.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """Quote a text as one literal. Raises ValueError for a NUL, which PostgreSQL text cannot contain."""
    if "\0" in text:
        raise ValueError("a text in PostgreSQL has no NUL")
    return "'" + text.replace("'", "''") + "'"
