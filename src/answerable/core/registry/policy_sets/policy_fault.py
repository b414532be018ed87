"""Faults of a policy set in a directory: the place, a stable code, and the likely intention.

Laws: every fault has a file and a line; all faults are reported at once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PolicyFault:
    """A fault. file: relative to the directory, with `/`. line: counted from 1. code: stable; the message's wording is
    not."""

    file: str
    line: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message} [{self.code}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFault:
    """A fault of a registered set, whose key is the file of the fault. voids_forbid: whether the fault is in a forbid,
    which then protects less than its author intends, or nothing."""

    fault: PolicyFault
    voids_forbid: bool
