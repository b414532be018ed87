"""The answer about one line of a target's log.

Law: grade D is an inference and never proof; an answer without a grade says that no step explains the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

if TYPE_CHECKING:
    from answerable.core.attribution.log_line import LogLine
    from answerable.core.attribution.step import Step

Verdict = Literal["ours", "shared", "bypass", "forged", "content", "later"]
"""ours: of exactly one step. shared: of one of several steps. bypass: a governed account, used past us. forged: the
line has a label of ours that its session does not bear out. content: of exactly one step, and says another content than
is recorded of it. later: the record ends before the line."""
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
Grade = Literal["", "A", "B", "C", "D"]
"""A: the account is that of one step. B: the server's own name of the session. C: a label that the broker set. D:
inferred from the time."""
CANDIDATES_MAX: Final = 5


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """step: of a line that is ours; of a forged one, who wrote it, where the session tells. candidates: at most
    CANDIDATES_MAX. claimed: the step or lease that a forged label names. differs: fields in which
    line and record differ. why: one sentence."""

    verdict: Verdict
    why: str
    grade: Grade = ""
    step: Step | None = None
    candidates: tuple[Step, ...] = ()
    claimed: str = ""
    differs: tuple[str, ...] = ()


ODD: Final[frozenset[Verdict]] = frozenset({"bypass", "content", "forged"})
"""Verdicts that a person must look at at once."""


class Attributed(msgspec.Struct, frozen=True, gc=False):
    """A line of a log with its answer."""

    line: LogLine
    answer: Answer
