"""Compare recorded decisions with those of another policy set on the same questions.

Laws: a decision counts as changed if its effect or its obligations differ; the same answer from other policies is no
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
"""Why an entry has no question: its subject was erased; a credential in it was hidden; it was too long to store; a rule
refused before any policy was evaluated; it cannot be read."""


NAMES_MAX: Final = 1_000
"""Names counted separately; the rest is counted together."""
TEXTS_MAX: Final = 20
"""Reasons counted by their text; the rest is counted by their code, so that no reason hides another."""


class Past(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A decision in the ledger. by: the policies or rule that determined it. obligations: without which it did not
    count."""

    index: int
    at: int
    agent: str
    capability: str
    effect: Effect
    by: tuple[str, ...]
    policy_set: str
    obligations: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A changed decision. now, by: what the other set decides, and the policies that determine it there."""

    was: Past
    now: Effect
    by: tuple[str, ...]
    reason: str
    obligations: tuple[str, ...] = ()


class Tally(msgspec.Struct, kw_only=True):
    """The totals of many comparisons.

    asked: evaluated questions. changes: by `from→to`. by_policy: changed ones by the policies that determine them now.
    untold: questions that the other set cannot evaluate, by reason. unasked: entries without a question, by reason.
    """

    asked: int = 0
    same: int = 0
    changes: dict[str, int] = {}
    by_policy: dict[str, int] = {}
    untold: dict[str, int] = {}
    unasked: dict[str, int] = {}

    def add(self, was: Past, found: Decision | CannotTell) -> Difference | None:
        """Count one evaluation; return the difference, if any."""
        if isinstance(found, CannotTell):
            is_known = found.text in self.untold or len(self.untold) < TEXTS_MAX
            _count(self.untold, found.text if is_known else found.code)
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
        """Count an entry without a question."""
        _count(self.unasked, why)

    def merge(self, other: Tally) -> None:
        """Add the totals of another log."""
        self.asked += other.asked
        self.same += other.same
        for own, more in (
            (self.changes, other.changes),
            (self.by_policy, other.by_policy),
            (self.untold, other.untold),
            (self.unasked, other.unasked),
        ):
            for name, count in more.items():
                _count(own, name, count)


class ShadowSet(msgspec.Struct, frozen=True, kw_only=True):
    """Policy sets evaluated in shadow mode. documents: canonical JSON of each new or changed one; removed: names of
    those left out. since: Unix milliseconds. by: who started it, as authenticated by the control API."""

    id: str
    documents: list[str]
    removed: list[str]
    since: int
    by: str


class ShadowSeen(msgspec.Struct, kw_only=True):
    """How far one log was compared with the shadow set, with the result.

    shadow: its id. read_to: first entry that was not read. policy_set: its current digest. fault: why it cannot be
    evaluated, if so. differences: the latest.
    """

    shadow: str
    began: int
    read_to: int
    policy_set: str = ""
    fault: str = ""
    tally: Tally = msgspec.field(default_factory=Tally)
    differences: list[Difference] = []


def _count(counts: dict[str, int], name: str, number: int = 1) -> None:
    if name not in counts and len(counts) >= NAMES_MAX:
        name = "others"
    counts[name] = counts.get(name, 0) + number
