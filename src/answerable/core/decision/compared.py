"""One decision beside what another policy set says to the same question.

Laws: a decision is told as changed by its effect and its obligations; that other policies give the same answer is no
change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from answerable.core.decision.asked import CannotTell
from answerable.core.decision.decision import Effect

if TYPE_CHECKING:
    from answerable.core.decision.decision import Decision

Unasked = Literal["erased", "hidden", "not_kept", "not_asked", "unreadable"]
"""Why there is no question: its subject was erased; a credential in it was hidden; it was too long to keep; nothing
asked policy, as a refusal came before; it cannot be read."""


NAMES_MAX: Final = 1_000
"""Counted apart; those past it are counted together."""


class Past(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A decision in the ledger. by: what determined it. obligations: without which it did not count."""

    index: int
    at: int
    agent: str
    capability: str
    effect: Effect
    by: tuple[str, ...]
    policy_set: str
    obligations: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """now, by: what the other set decides, and what determines it there."""

    was: Past
    now: Effect
    by: tuple[str, ...]
    reason: str
    obligations: tuple[str, ...] = ()


class Tally(msgspec.Struct, kw_only=True):
    """What came of many questions.

    asked: got an answer. changes: by `from→to`. by_policy: changed ones by what determines them now. untold: questions
    that the other set cannot answer, by code. unasked: entries without a question, by why.
    """

    asked: int = 0
    same: int = 0
    changes: dict[str, int] = {}
    by_policy: dict[str, int] = {}
    untold: dict[str, int] = {}
    unasked: dict[str, int] = {}

    def add(self, was: Past, found: Decision | CannotTell) -> Difference | None:
        """Count one answer; the difference if it is one."""
        if isinstance(found, CannotTell):
            _count(self.untold, found.text)
            return None
        self.asked += 1
        alike = sorted(found.obligations) == sorted(was.obligations) or found.effect == "deny"
        if found.effect == was.effect and alike:
            self.same += 1
            return None
        other = "" if found.effect != was.effect else ", other obligations"
        _count(self.changes, f"{was.effect}→{found.effect}{other}")
        for name in found.determined_by:
            _count(self.by_policy, name)
        reason = found.reasons[0].text if found.reasons else ""
        return Difference(
            was=was, now=found.effect, by=found.determined_by, reason=reason, obligations=found.obligations
        )

    def skip(self, why: Unasked) -> None:
        """Count an entry that has no question."""
        _count(self.unasked, why)


class ShadowSet(msgspec.Struct, frozen=True, kw_only=True):
    """Policy sets in the shadow. documents: canonical JSON of each that is new or other; removed: names of those that
    it leaves out. since: Unix milliseconds. by: who the control door knew."""

    id: str
    documents: list[str]
    removed: list[str]
    since: int
    by: str


class ShadowSeen(msgspec.Struct, kw_only=True):
    """How far one log was compared with the set in the shadow, and what came of it.

    shadow: its id. read_to: first entry that was not read. policy_set: its digest by now. fault: why it cannot be
    asked, if so. differences: the latest.
    """

    shadow: str
    began: int
    read_to: int
    policy_set: str = ""
    fault: str = ""
    tally: Tally = msgspec.field(default_factory=Tally)
    differences: list[Difference] = []


def _count(counts: dict[str, int], name: str) -> None:
    if name not in counts and len(counts) >= NAMES_MAX:
        name = "others"
    counts[name] = counts.get(name, 0) + 1
