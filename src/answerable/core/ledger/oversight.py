"""Read from the entries the course of each approval: whom it asked, who answered what and how fast, what followed, and
whether it was a test.

Laws: the result is a function of the entries below one index and of nothing else, so that reading on equals reading
again; a test counts like any other approval until an entry reveals it as a test, and from then on only as a test; all
memory is bounded: past QUESTIONS_MAX the oldest approval is dropped, and `complete_from` states since when all are
held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from answerable.core.containment.shadow import is_shadow_name
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.ledger.entry import StoredEntry

QUESTIONS_MAX: Final = 20_000
RUNNING_MAX: Final = 20_000
"""Approved intents that have no end yet."""
HOLDS_MAX: Final = 2_000
WORKFLOW: Final = "workflow "
"""Prefix of the name of a workflow that answered."""
GLASS: Final = "break_glass"
"""Verdict of a person who let the action run without its approval (emergency access)."""
DRILL: Final = "drill"
"""Source of a hold placed by a drill, which stops nothing but the drill's shadow agent."""

TestEnd = Literal["caught", "let_through", "unseen"]
"""A test was denied, approved, or not answered in time."""


class Said(msgspec.Struct, frozen=True, gc=False):
    """One answer. entry: its ledger index. person: pseudonym, or WORKFLOW and a name. at: Unix milliseconds. opened:
    when the person first opened the approval, Unix milliseconds; None where unknown. unsigned: only a chat reported the
    click."""

    entry: int
    person: str
    at: int
    approves: bool
    opened: int | None = None
    unsigned: bool = False

    @property
    def looked_ms(self) -> int | None:
        """Time from first opening to the answer; None where unknown."""
        return max(0, self.at - self.opened) if self.opened is not None else None


class Question(msgspec.Struct, gc=False):
    """The course of one approval. entry: its ledger index. rules: those that require the approval. groups: those asked.
    said: the answers, in order.

    state: `pending` until decided. decided_at: Unix milliseconds, 0 before. looked_ms: of the answer that decided it.
    failed: the approved action failed, or its end is unknown. glass: somebody let it run without its approval. void:
    the action that would run differs from what was shown. test: how a revealed test ended; empty for others.
    """

    entry: int
    at: int
    expires: int
    tier: str
    use_case: str
    agent: str
    mandate: str
    capability: str
    rules: tuple[str, ...]
    groups: tuple[str, ...]
    said: tuple[Said, ...] = ()
    state: Literal["pending", "approved", "denied"] = "pending"
    decided_at: int = 0
    looked_ms: int | None = None
    failed: bool = False
    glass: bool = False
    void: bool = False
    test: TestEnd | Literal[""] = ""

    @property
    def wait_ms(self) -> int:
        """Time from the request to the deciding answer."""
        return max(0, self.decided_at - self.at)

    @property
    def viewed_ms(self) -> int | None:
        """Time from the request to the first opening by anyone who answered; None where unknown."""
        opened = [one.opened for one in self.said if one.opened is not None]
        return max(0, min(opened) - self.at) if opened else None


class Held(msgspec.Struct, frozen=True, gc=False):
    """A hold was placed on something of this name."""

    entry: int
    at: int
    name: str


class _Decided(msgspec.Struct):
    by: list[str] = []


class _Leaf(msgspec.Struct):
    """The members read from an entry about an action or an answer."""

    at: int
    agent: str = ""
    approval: str = ""
    capability: str = ""
    decision: _Decided = msgspec.field(default_factory=_Decided)
    ended: str = ""
    expires: int = 0
    intent: int = -1
    mandate: str = ""
    name: object = ""
    opened: int | None = None
    person: str = ""
    requirements: list[tuple[str, int]] = []
    source: object = ""
    state: str = ""
    status: str = ""
    strength: str = ""
    tier: int | None = None
    use_case: str = ""
    verdict: str = ""
    workflow: str = ""


class Oversight:
    """The approvals of one log. entries: all entries below this index are read, none above. complete_from: all
    approvals from this time on are held, Unix milliseconds; 0 for all. unreadable: number of entries that cannot be
    read and are skipped."""

    def __init__(self) -> None:
        self.entries = 0
        self.complete_from = 0
        self.unreadable = 0
        self.holds: list[Held] = []
        self._questions: dict[str, Question] = {}
        self._running: dict[int, str] = {}

    def fold(self, stored: StoredEntry) -> None:
        """Read the next entry."""
        self.entries = stored.index + 1
        if stored.tag not in _READ:
            return
        try:
            leaf = _DECODER.decode(stored.leaf)
        except msgspec.MsgspecError:
            self.unreadable += 1
            return
        match stored.tag:
            case Tag.APPROVAL_ASKED:
                self._ask(stored.index, leaf)
            case Tag.APPROVAL_ANSWER:
                self._answer(stored.index, leaf)
            case Tag.CANARY_TOLD:
                self._tell(stored.index, leaf)
            case Tag.APPROVAL_VOID if leaf.approval in self._questions:
                self._questions[leaf.approval].void = True
            case Tag.INTENT if leaf.approval in self._questions:
                if len(self._running) >= RUNNING_MAX:
                    del self._running[next(iter(self._running))]
                self._running[stored.index] = leaf.approval
            case Tag.OUTCOME | Tag.INDETERMINATE:
                asked = self._questions.get(self._running.pop(leaf.intent, ""))
                if asked is not None and leaf.status in ("failed", "indeterminate"):
                    asked.failed = True
            case Tag.HOLD_PLACED:
                self._hold(stored.index, leaf)

    def questions(self, since: int = 0) -> Iterator[tuple[str, Question]]:
        """Yield the approvals requested since a time, Unix milliseconds, with their ids, oldest first."""
        return ((name, one) for name, one in self._questions.items() if one.at >= since)

    def _ask(self, index: int, leaf: _Leaf) -> None:
        if is_shadow_name(leaf.agent) or is_shadow_name(leaf.use_case) or leaf.approval in self._questions:
            return
        if len(self._questions) >= QUESTIONS_MAX:
            given_up = self._questions.pop(next(iter(self._questions)))
            self.complete_from = max(self.complete_from, given_up.at + 1)
        self._questions[leaf.approval] = Question(
            entry=index,
            at=leaf.at,
            expires=leaf.expires,
            tier="" if leaf.tier is None else str(leaf.tier),
            use_case=leaf.use_case,
            agent=leaf.agent,
            mandate=leaf.mandate,
            capability=leaf.capability,
            rules=tuple(leaf.decision.by),
            groups=tuple(group for group, _ in leaf.requirements),
        )

    def _answer(self, index: int, leaf: _Leaf) -> None:
        asked = self._questions.get(leaf.approval)
        if asked is None or asked.test or leaf.verdict not in ("approve", "deny", GLASS):
            return
        if leaf.verdict == GLASS:
            asked.glass = True
        else:
            approves = leaf.verdict == "approve"
            asked.said = (
                *asked.said,
                Said(index, _who(leaf), leaf.at, approves, leaf.opened, bool(leaf.strength)),
            )
        if asked.state == "pending" and leaf.state in ("approved", "denied"):
            asked.state = "approved" if leaf.state == "approved" else "denied"
            asked.decided_at = leaf.at
            asked.looked_ms = max(0, leaf.at - leaf.opened) if leaf.opened is not None else None

    def _tell(self, index: int, leaf: _Leaf) -> None:
        """Reveal a test. A test that was recorded twice, because of a crash before the register was written, counts
        once."""
        asked = self._questions.get(leaf.approval)
        if asked is None or asked.test:
            return
        if leaf.person and leaf.ended in ("caught", "let_through"):
            caught = leaf.ended == "caught"
            asked.said = (Said(index, _who(leaf), leaf.at, not caught, leaf.opened, bool(leaf.strength)),)
            asked.decided_at = leaf.at
            asked.test = "caught" if caught else "let_through"
        else:
            asked.test = "unseen"

    def _hold(self, index: int, leaf: _Leaf) -> None:
        if leaf.source == DRILL or not isinstance(leaf.name, str) or is_shadow_name(leaf.name):
            return
        self.holds.append(Held(index, leaf.at, leaf.name))
        del self.holds[:-HOLDS_MAX]


def _who(leaf: _Leaf) -> str:
    return f"{WORKFLOW}{leaf.workflow}" if leaf.workflow else leaf.person


_DECODER: Final = msgspec.json.Decoder(_Leaf)
_READ: Final = frozenset(
    {
        Tag.APPROVAL_ASKED,
        Tag.APPROVAL_ANSWER,
        Tag.CANARY_TOLD,
        Tag.APPROVAL_VOID,
        Tag.INTENT,
        Tag.OUTCOME,
        Tag.INDETERMINATE,
        Tag.HOLD_PLACED,
    }
)
