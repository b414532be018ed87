"""A step: one recorded action at a target, with all by which a line of that target's log is recognised as its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

SKEW_MS: Final = 5_000
"""How far the target's clock may be from ours."""
HOST: Final = "ssh_host"
"""The name of a session that says on which host it was."""


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """entry: of the intent. chain: the agents from whom the mandate came, root first. person: pseudonym of the
    principal. decided_by: rules that allowed it. approval: its id; empty where none was needed. account: at the target.
    started, ended: Unix milliseconds; ended is 0 where no outcome is recorded. outcome: its entry, -1 for none.
    life_until: when the account's lease ended or ends; 0 where unknown. status: of the outcome; empty where none.
    session: the target's own names of the session, as recorded with the outcome."""

    entry: int
    action: str
    agent: str
    chain: tuple[str, ...]
    person: str
    mandate: str
    use_case: str
    capability: str
    decided_by: tuple[str, ...]
    policy_set: str
    approval: str
    lease: str
    target: str
    account: str
    started: int
    deadline: int
    ended: int = 0
    outcome: int = -1
    life_until: int = 0
    status: str = ""
    session: dict[str, str] = {}

    @property
    def until(self) -> int:
        """The last instant at which it may have acted."""
        return self.ended or self.deadline

    @property
    def kinds(self) -> set[str]:
        """How the names of its session begin, without those of what the broker itself noted: the kind of its target."""
        return {name.partition("_")[0] for name in self.session} - {"secret"}

    def spans(self, at: int) -> bool:
        """Whether a line of this time may be of it, for any allowed difference of the clocks. A line without a time may
        be."""
        return not at or self.started - SKEW_MS <= at <= self.until + SKEW_MS

    def lives(self, at: int) -> bool:
        """Whether a line of this time may be of its session: from its begin until it and its lease ended, for any
        allowed difference of the clocks. A line without a time may be."""
        last = max(self.until, self.life_until)
        return not at or self.started - SKEW_MS <= at <= last + SKEW_MS

    def agrees(self, keys: Sequence[tuple[str, str]]) -> bool:
        """Whether no key of a line contradicts a recorded one, and the first is recorded."""
        return keys[0][0] in self.session and all(
            _same(name, self.session.get(name, value), value) for name, value in keys
        )


def _same(name: str, recorded: str, told: str) -> bool:
    # A host calls itself by its name with or without its domain.
    if name == HOST:
        recorded, told = (one.partition(".")[0].casefold() for one in (recorded, told))
    return recorded == told


class StepLookup(Protocol):
    """Finds recorded steps. Every answer is in the order of the ledger. complete_until: time of the last entry that the
    record holds, in Unix milliseconds: a step that began later may be missing."""

    @property
    def complete_until(self) -> int: ...

    def by_action(self, action: str) -> Step | None:
        """Return the step of this action id."""

    def by_lease(self, lease: str) -> Sequence[Step]:
        """Return the steps that used the lease of this name."""

    def by_session(self, name: str, value: str) -> Sequence[Step]:
        """Return the steps whose outcome names this session of the target."""

    def kinds_of(self, step: Step) -> Collection[str]:
        """Return the kinds of target that the step may have been at, as the names of its session begin, or, where it
        told none, of others at its target; empty where that is not known."""

    def by_account(self, account: str) -> Sequence[Step]:
        """Return the steps that used this account; empty for one that is not known to be governed."""
