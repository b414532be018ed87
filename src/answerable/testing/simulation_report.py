"""What a simulated run went through, so that a test can tell whether it met what it is about."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run went through. struck: faults that were dealt, as `method: fault`. returned, overrun: outcomes that
    gave back, or used more than was reserved. spent: refusals for want of budget. held, lifted: holds. cut: calls
    that a hold ended."""

    seed: int
    lives: int = 0
    crashes: int = 0
    attempts: int = 0
    effects: int = 0
    intents: int = 0
    deferred: int = 0
    returned: int = 0
    overrun: int = 0
    spent: int = 0
    left: int = 0
    entries: int = 0
    held: int = 0
    lifted: int = 0
    cut: int = 0
    struck: list[str] = field(default_factory=list)
