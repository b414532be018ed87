"""Split policy text into statements, and bound its size and nesting before Cedar parses it.

Cedar's parser is recursive: brackets nested some 700 deep, or one expression of some 10,000 terms, crash the process.
So every reader of a policy checks these much lower bounds first, third-party verifiers included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from answerable.errors.codes.policy import POLICY_TOO_LARGE

TEXT_CHARS_MAX: Final = 16 * 1024 * 1024
POLICY_CHARS_MAX: Final = 8 * 1024
NESTING_MAX: Final = 64

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n\r]*|[()\[\]{};]', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One policy as written, with the comments before it. line: counted from 1."""

    line: int
    text: str


def statements(text: str) -> tuple[Statement, ...]:
    """Split at the semicolons between policies; the text after the last one is a statement if it is not blank.

    Raises Malformed (`policy.too_large`) for a text, a policy or a nesting beyond its bound.
    """
    if len(text) > TEXT_CHARS_MAX:
        raise POLICY_TOO_LARGE(f"policies of {len(text)} characters, expected at most {TEXT_CHARS_MAX}")
    found: list[Statement] = []
    start = depth = 0
    line = 1
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "([{":
            depth += 1
            if depth > NESTING_MAX:
                raise POLICY_TOO_LARGE(f"policy on line {line}: brackets nested deeper than {NESTING_MAX}")
        elif mark in ")]}":
            depth = max(0, depth - 1)
        elif mark == ";" and depth == 0:
            found.append(_statement(text[start : token.end()], line))
            line += text.count("\n", start, token.end())
            start = token.end()
    rest = text[start:]
    if re.sub(r"//[^\n\r]*", "", rest).strip():
        found.append(_statement(rest, line))
    return tuple(found)


def _statement(text: str, line: int) -> Statement:
    line += text.count("\n", 0, len(text) - len(text.lstrip()))
    if len(text) > POLICY_CHARS_MAX:
        raise POLICY_TOO_LARGE(
            f"policy on line {line} has {len(text)} characters, expected at most {POLICY_CHARS_MAX}"
        )
    return Statement(line=line, text=text)
