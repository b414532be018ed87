"""Read lines of PostgreSQL's standard error by the server's own `log_line_prefix`.

Law: a line that can be read in two ways is ambiguous, because a client chooses its application name, and the user and
database names of a login that fails.
"""

from __future__ import annotations

import re
from typing import Final

from answerable.errors.codes.attribution import ATTRIBUTE_PREFIX

_ESCAPE: Final = re.compile(r"%(-?\d{0,3})([a-zA-Z%])")
_FIELDS: Final = {
    "a": "(?P<a>.{}?)",
    "u": "(?P<u>.{}?)",
    "d": ".{}?",
    "r": r"\S{0,300}?",
    "h": r"\S{0,300}?",
    "L": r"\S{0,300}?",
    "b": "(?P<b>[a-z ]{0,40}?)",
    "p": r"\d{1,10}",
    "P": r"\d{0,10}",
    "t": r"(?P<t>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Za-z0-9+:-]{1,10})",
    "m": r"(?P<m>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Za-z0-9+:-]{1,10})",
    "n": r"(?P<n>\d{10}\.\d{3})",
    "i": "[A-Z ]{0,60}?",
    "e": "(?P<e>[0-9A-Z]{5})",
    "c": r"(?P<c>[0-9a-f]{8}\.[0-9a-f]{1,8})",
    "l": r"\d{1,19}",
    "s": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Za-z0-9+:-]{1,10}",
    "v": r"(?:-?\d{1,10}/\d{1,10})?",
    "x": r"\d{1,10}",
    "Q": r"-?\d{1,20}",
    "%": "%",
}
"""The form of each escape. `.{}` is what a client may choose."""
_SEVERITY: Final = r"[^\Wa-z\d_]{2,24}:  "
"""The word may be translated."""
_CHARS_MAX: Final = 500
_NAME_CHARS: Final = "{0,63}"
"""As many as PostgreSQL keeps of a name."""
_LABEL_CHARS: Final = "{0,252}"
"""Four times as many: newer versions write a character that is not printable as four."""


class LinePrefix:
    """A `log_line_prefix`. Raises Malformed (`attribute.prefix`) for one that has no user name, or an escape that no
    version of PostgreSQL has."""

    def __init__(self, text: str) -> None:
        if len(text) > _CHARS_MAX:
            raise ATTRIBUTE_PREFIX(f"the prefix has {len(text)} characters, at most {_CHARS_MAX} are taken")
        self.names = {found[2] for found in _ESCAPE.finditer(text)}
        if unknown := sorted(self.names - {*_FIELDS, "q"}):
            raise ATTRIBUTE_PREFIX(f"the prefix has %{unknown[0]}, which PostgreSQL does not have")
        if "u" not in self.names:
            raise ATTRIBUTE_PREFIX(
                "the prefix has no %u, so no line names an account: set `log_line_prefix` to '%m %c %u %a '"
            )
        if not self.names & {"m", "t", "n"}:
            raise ATTRIBUTE_PREFIX(
                "the prefix has no %m, %t or %n, so no line has a time, which proves nothing"
            )
        self._first = re.compile(self._pattern(text, "?"), re.DOTALL)
        self._last = re.compile(self._pattern(text, ""), re.DOTALL)

    def match(self, line: str) -> re.Match[str] | None:
        """Return the fields of a line; None for a line without the prefix."""
        return self._first.match(line)

    def other(self, line: str) -> dict[str, str]:
        """Return the fields of a line in the reading that gives most to what comes first; the same as of `match` for a
        line that can be read in one way."""
        found = self._last.match(line)
        return found.groupdict("") if found else {}

    def _pattern(self, text: str, lazy: str) -> str:
        pieces, end, named, optional = list[str](), 0, set[str](), 0
        order = [found[2] for found in _ESCAPE.finditer(text)]
        chosen = min((order.index(one) for one in "ad" if one in order), default=len(order))
        # What the server itself says comes first: there, the name of a user, or of a database, ends where the prefix
        # goes on, and only the label can be read in two ways.
        is_plain = all(order.index(one) < chosen for one in "uc" if one in order)
        for found in _ESCAPE.finditer(text):
            pieces.append(re.escape(text[end : found.start()]))
            end = found.end()
            if found[2] == "q":
                # A process without a session writes nothing of what follows.
                pieces.append("(?:")
                optional += 1
                continue
            field = _FIELDS[found[2]]
            following = text[end : end + 1]
            if found[2] in "ud" and is_plain and following not in ("", "%"):
                field = field.replace(".", f"[^{re.escape(following)}]")
            field = field.replace("{}?", f"{_LABEL_CHARS if found[2] == 'a' else _NAME_CHARS}{lazy}")
            if found[2] in named:
                field = re.sub(r"\(\?P<\w>", "(?:", field)
            named.add(found[2])
            pieces.append(rf"\ *{field}\ *" if found[1] else field)
        pieces.append(re.escape(text[end:]))
        return "".join(pieces) + ")?" * optional + _SEVERITY
