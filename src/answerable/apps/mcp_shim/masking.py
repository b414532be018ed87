"""Mask possible secrets in a JSON text for display, leaving everything else byte for byte unchanged."""

from __future__ import annotations

import json
import re
from typing import Final

MASK: Final = '"(hidden)"'
SECRET_MEMBERS: Final = frozenset({"env", "headers", "auth", "oauth"})

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


def masked(text: str) -> str:
    """Replace every value below a member `env`, `headers`, `auth` or `oauth` by `(hidden)`; member names stay.

    text: JSON that has been parsed before.
    """
    pieces: list[str] = []
    open_brackets: list[str] = []
    # Number of open brackets where the secret member's value began; negative outside of one.
    hidden_above = -1
    named, is_name, done = "", False, 0
    for token in _TOKEN.finditer(text):
        what = token[0]
        if what in "{[":
            if hidden_above < 0 and named in SECRET_MEMBERS:
                hidden_above = len(open_brackets)
            open_brackets.append(what)
            named, is_name = "", what == "{"
        elif what in "}]":
            open_brackets.pop()
            if len(open_brackets) == hidden_above:
                hidden_above = -1
            named = ""
        elif what == ",":
            named, is_name = "", open_brackets[-1] == "{"
        elif what == ":":
            is_name = False
        elif is_name:
            named = json.loads(what)
        elif hidden_above >= 0 or named in SECRET_MEMBERS:
            pieces += [text[done : token.start()], MASK]
            done = token.end()
    return "".join([*pieces, text[done:]])
