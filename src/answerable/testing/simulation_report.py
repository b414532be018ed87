"""Counters of a simulated run, so that a test can check that the run covered its subject."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Report:
    """Counters of one run. struck: injected faults, as `method: fault`. returned, overrun: outcomes that gave back, or
    exceeded, their reservation. spent: refusals for lack of budget. held, lifted: holds. cut: calls that a hold ended.
    """

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
