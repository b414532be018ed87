"""Parse a server's demands for credentials: `WWW-Authenticate` (RFC 9110, section 11.6.1), with limits.

Laws: nothing in the field is trusted, so a challenge that cannot be parsed, or has a parameter twice, counts as absent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VALUES_MAX: Final = 8
VALUE_CHARS_MAX: Final = 4_096

_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}"
_END: Final = r"[ \t]*(?=,|$)"
_PARAMETER: Final = re.compile(
    rf'({_NAME})[ \t]{{0,8}}=[ \t]{{0,8}}(?:"((?:[^"\\]|\\.)*)"|({_NAME})){_END}', re.ASCII
)
_CREDENTIAL: Final = re.compile(rf"[A-Za-z0-9\-._~+/]+=+{_END}", re.ASCII)
_SCHEME: Final = re.compile(rf"({_NAME})(?:[ \t]+|(?=,)|$)", re.ASCII)
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One authentication challenge. scheme: in lower case. parameters: by lower-case name."""

    scheme: str
    parameters: Mapping[str, str]

    def text(self, name: str) -> str:
        """Return a parameter, empty if it is absent."""
        return self.parameters.get(name, "")


def challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """Return every challenge in the values of the field, in order. A value that cannot be parsed to its end yields
    none."""
    found: list[Challenge] = []
    for number, value in enumerate(values):
        if number >= VALUES_MAX:
            break
        found += _in_value(value) if len(value) <= VALUE_CHARS_MAX else ()
    return tuple(found)


def _in_value(value: str) -> list[Challenge]:
    found: list[tuple[str, dict[str, str]]] = []
    torn: set[int] = set()
    at = _after_separators(value, 0)
    while at < len(value):
        if found and (match := _PARAMETER.match(value, at)):
            name = match[1].lower()
            if name in found[-1][1]:
                torn.add(len(found) - 1)
            found[-1][1][name] = match[3] if match[2] is None else _ESCAPED.sub(r"\1", match[2])
        elif (found and (match := _CREDENTIAL.match(value, at))) or (match := _SCHEME.match(value, at)):
            if match.re is _SCHEME:
                found.append((match[1].lower(), {}))
        else:
            return []
        at = _after_separators(value, match.end())
    return [
        Challenge(scheme=scheme, parameters=parameters)
        for number, (scheme, parameters) in enumerate(found)
        if number not in torn
    ]


def _after_separators(value: str, at: int) -> int:
    while at < len(value) and value[at] in " \t,":
        at += 1
    return at
