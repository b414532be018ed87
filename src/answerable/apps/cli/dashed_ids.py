"""Ids as they are typed: one in 64 begins with `-`, and is an argument for all that.

Digests, thumbprints and names of passkeys are base64url, whose alphabet has `-` (RFC 4648 section 5). To the parser
such a word is a row of short options. It is told apart here, once for every command: nobody has to know of `--`.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORTEST: Final = 22
"""Characters of 16 bytes, the shortest passkey id there is. Our own digests have 43."""
_ID: Final = re.compile(rf"(?=.*[A-Z0-9_])-[A-Za-z0-9_-]{{{_SHORTEST - 1},}}")
"""No option of ours has a capital, a digit or an underscore in its name, and 22 characters at random have one."""


def with_ids_last(args: Sequence[str], with_values: frozenset[str]) -> list[str]:
    """The words with arguments behind the options where one of them is such an id; else as they are. with_values:
    spellings of the options that have a value."""
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
    """Whether the value of an option is the next word: it is named in full, or is the last of a row of short ones."""
    if word.startswith("--"):
        return word in with_values
    first = next((at for at, letter in enumerate(word[1:], 2) if f"-{letter}" in with_values), 0)
    return first == len(word)
