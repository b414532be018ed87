"""What is counted of one group in one time."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from answerable.core.ledger.spread import Spread


class Group(NamedTuple):
    """tier: of the capability, as text. Either is empty where the entry does not say it."""

    tier: str
    use_case: str


UNSAID: Final = Group("", "")
DRILLS: Final = Group("", "(drills)")
OTHERS: Final = Group("(others)", "(others)")
"""No name of a use case has such characters."""


class Cell(msgspec.Struct, array_like=True):
    """What happened in one group, in one hour or at all. Append fields only: what was kept is read back by place.

    alone: set out without anybody being asked. asked: questions to people. refused: recorded one by one, counted: in
    aggregate. after_approval: set out after people agreed. approved, denied: questions that were decided; unanswered:
    that were not, as far as they are forgotten here. succeeded, failed, not_started, indeterminate: how it ended.
    tasks: mandates issued. traced, untraced: effects that were followed to who answers for them, or could not be.
    revoked, ended, held, lifted, unreadable: entries. policies_begun: a log got its first policies; policy_changes: it
    got others. waits: for people, in ms. tracing: in µs. containing: from when a stop was in force to the end of the
    last action that it came too late for, in ms. drills, drills_failed: that were run, and of these; nothing else of a
    drill is counted. untimed: stops of which it cannot be told when they had contained everything.
    """

    alone: int = 0
    asked: int = 0
    refused: int = 0
    counted: int = 0
    after_approval: int = 0
    approved: int = 0
    denied: int = 0
    unanswered: int = 0
    succeeded: int = 0
    failed: int = 0
    not_started: int = 0
    indeterminate: int = 0
    tasks: int = 0
    traced: int = 0
    untraced: int = 0
    revoked: int = 0
    ended: int = 0
    held: int = 0
    lifted: int = 0
    policies_begun: int = 0
    policy_changes: int = 0
    unreadable: int = 0
    waits: Spread = msgspec.field(default_factory=Spread)
    tracing: Spread = msgspec.field(default_factory=Spread)
    containing: Spread = msgspec.field(default_factory=Spread)
    drills: int = 0
    drills_failed: int = 0
    untimed: int = 0

    @property
    def actions(self) -> int:
        """That were decided: each ran alone, was asked about or was refused. What ran after approval is the same action
        as the one that was asked about."""
        return self.alone + self.asked + self.refused + self.counted

    @property
    def effects(self) -> int:
        """Actions that took effect, or may have."""
        return self.succeeded + self.indeterminate

    def join(self, other: Cell) -> None:
        """With all of another one."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.waits.join(other.waits)
        self.tracing.join(other.tracing)
        self.containing.join(other.containing)


SPREADS: Final = ("waits", "tracing", "containing")
COUNTED: Final = tuple(name for name in Cell.__struct_fields__ if name not in SPREADS)
