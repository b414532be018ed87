"""Accept ids that begin with `-` as arguments. One id in 64 does.

Digests, thumbprints and passkey ids are base64url, whose alphabet includes `-` (RFC 4648 section 5). The parser would
read such a word as a row of short options. This module distinguishes them for every command, so that nobody needs to
type `--`.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORTEST: Final = 22
"""Characters of 16 bytes, the shortest passkey id. This product's own digests have 43."""
_ID: Final = re.compile(rf"(?=.*[A-Z0-9_])-[A-Za-z0-9_-]{{{_SHORTEST - 1},}}")
"""No option name has a capital, a digit or an underscore; 22 random characters almost always have one."""


def with_ids_last(args: Sequence[str], with_values: frozenset[str]) -> list[str]:
    """Return the words with the arguments behind the options if one argument is such an id, else unchanged.

    with_values: the spellings of the options that take a value.
    """
    options, arguments = _parted(args, with_values)
    return [*options, "--", *arguments] if any(_ID.fullmatch(word) for word in arguments) else [*args]


def _parted(args: Sequence[str], with_values: frozenset[str]) -> tuple[list[str], list[str]]:
    options: list[str] = []
    arguments: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            arguments += words
        elif word[:1] != "-" or word == "-" or (_ID.fullmatch(word) and word[:2] not in with_values):
            arguments.append(word)
        else:
            options.append(word)
            if _takes_next(word, with_values):
                options += islice(words, 1)
    return options, arguments


def _takes_next(word: str, with_values: frozenset[str]) -> bool:
    """Whether the next word is this option's value: the option is named in full, or is the last in a row of short
    options."""
    if word.startswith("--"):
        return word in with_values
    first = next((at for at, letter in enumerate(word[1:], 2) if f"-{letter}" in with_values), 0)
    return first == len(word)
