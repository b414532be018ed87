"""The error classes, and the stable codes that errors carry.

`errors.codes` declares every code once. Calling a code makes its error: `raise LEASE_TAKEN(f"the server has {name}")`.
"""

from answerable.errors.code import (
    BrokenCode,
    Code,
    DecisionCode,
    FindingCode,
    MalformedCode,
    RefusedCode,
    UnavailableCode,
    UnverifiedCode,
)
from answerable.errors.family import (
    TEXT_CHARS_MAX,
    AnswerableError,
    Broken,
    Effect,
    Malformed,
    Refused,
    Unavailable,
    Unverified,
    shown,
)

__all__ = [
    "TEXT_CHARS_MAX",
    "AnswerableError",
    "Broken",
    "BrokenCode",
    "Code",
    "DecisionCode",
    "Effect",
    "FindingCode",
    "Malformed",
    "MalformedCode",
    "Refused",
    "RefusedCode",
    "Unavailable",
    "UnavailableCode",
    "Unverified",
    "UnverifiedCode",
    "shown",
]
