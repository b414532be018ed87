"""What is wrong with a policy set in a directory: the place, a stable code, and what was probably meant.

Laws: every fault has a file and a line, so that nobody has to look for it; all faults are told at once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PolicyFault:
    """file: relative to the directory, with `/`. line: counted from 1. code: stable; the message's wording is not."""

    file: str
    line: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message} [{self.code}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFault:
    """Of a registered set, whose key is the file of the fault. voids_forbid: whether it is a forbid's, which protects
    less than its author means, or nothing."""

    fault: PolicyFault
    voids_forbid: bool
