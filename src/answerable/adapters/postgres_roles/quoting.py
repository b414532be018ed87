"""Names and texts as PostgreSQL spells them, for statements that take no parameters.

Laws: what comes out is one token, whatever went in; nothing with a NUL, and no name that the server would cut, comes
out at all. Texts are spelled for `standard_conforming_strings = on`, which every connection of ours sets itself.
"""

from __future__ import annotations

from typing import Final

NAME_BYTES_MAX: Final = 63
"""NAMEDATALEN - 1: the server cuts what is longer, and would then mean something else."""


def is_name(text: str) -> bool:
    """Whether the server takes it for a name as it is."""
    return bool(text) and "\0" not in text and len(text.encode("utf-8", "surrogatepass")) <= NAME_BYTES_MAX


def quoted_name(text: str) -> str:
    """As one identifier. Raises ValueError for what is no name."""
    if not is_name(text):
        raise ValueError("not a name in PostgreSQL")
    return '"' + text.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """As one literal. Raises ValueError where it has a NUL, which no text of the server can hold."""
    if "\0" in text:
        raise ValueError("a text in PostgreSQL has no NUL")
    return "'" + text.replace("'", "''") + "'"
