"""The counters of one group in one period, from which the control statistics are made."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from answerable.core.ledger.spread import Spread


class Group(NamedTuple):
    """A group of actions. tier: of the capability, as text. Each member is empty where the entry does not state it."""

    tier: str
    use_case: str


UNSAID: Final = Group("", "")
DRILLS: Final = Group("", "(drills)")
OTHERS: Final = Group("(others)", "(others)")
"""Use case names cannot contain these characters."""


class Cell(msgspec.Struct, array_like=True):
    """Counters of one group, for one hour or for the total. Append fields only: stored rows are decoded by position.

    alone: started without an approval. asked: approvals requested. refused: recorded individually; counted: in
    aggregate. after_approval: started after people approved. approved, denied: decided approvals; unanswered: undecided
    ones, counted when dropped from memory. succeeded, failed, not_started, indeterminate: how actions ended. tasks:
    mandates issued. traced, untraced: effects that could, or could not, be traced to the person who answers for them.
    revoked, ended, held, lifted, unreadable: entries. policies_begun: the first policies of a log; policy_changes:
    later ones. waits: for people, in ms. tracing: in µs. containing: from when a stop was in force to the end of the
    last action that was already running, in ms. drills, drills_failed: drills run, and those that failed; nothing else
    of a drill is counted. untimed: stops for which the time until containment is unknown.
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
        """Number of decided actions: each ran without approval, was asked about or was refused. An action that ran
        after approval is the one that was asked about."""
        return self.alone + self.asked + self.refused + self.counted

    @property
    def effects(self) -> int:
        """Number of actions that took effect, or may have."""
        return self.succeeded + self.indeterminate

    def join(self, other: Cell) -> None:
        """Add all counters of another cell."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.waits.join(other.waits)
        self.tracing.join(other.tracing)
        self.containing.join(other.containing)


SPREADS: Final = ("waits", "tracing", "containing")
COUNTED: Final = tuple(name for name in Cell.__struct_fields__ if name not in SPREADS)
