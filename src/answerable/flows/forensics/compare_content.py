"""Compare the content of lines that are of a step with what is recorded of that step, over the whole of a log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import structs

from answerable.core.attribution.content import (
    COMPARED,
    SAME,
    Compared,
    Field,
    Recorded,
    compared,
    statement_differs,
)
from answerable.core.attribution.recorded_content import SEALED
from answerable.core.attribution.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.attribution.answer import Answer
    from answerable.core.attribution.log_line import LogKind, LogLine

RecordOf = Callable[[Step], Recorded]
"""Returns what is recorded of the content of a step."""
PROVED: Final = frozenset("ABC")
"""Grades of lines whose content is compared: of an inference, nothing follows."""
_SAME, _DIFFERS = "same", "differs"
_NOT_SAID: Final = "the log does not say it"
_NOT_WHOLE: Final = "the log does not have every statement of the action whole"


def nothing_recorded(_step: Step) -> Recorded:
    """Return that nothing can be opened."""
    return Recorded(missing=SEALED)


def compared_line(line: LogLine, answer: Answer, record_of: RecordOf) -> tuple[Answer, Compared]:
    """Return the answer, which becomes `content` where the line says something else than the record, and what was
    compared."""
    if answer.verdict != "ours" or answer.step is None or not line.content or answer.grade not in PROVED:
        return answer, Compared()
    found = compared(line.content, record_of(answer.step))
    if found.differs:
        why = "; ".join(text for _, text in found.differs)
        differs = tuple(name for name, _ in found.differs)
        answer = structs.replace(answer, verdict="content", differs=differs, why=why)
    return answer, found


@dataclass(slots=True, kw_only=True)
class ContentSeen:
    """What a log said of the content of each step that has a proved line. fields: by entry of the step, each with
    whether it agrees, or why it was not compared."""

    record_of: RecordOf = nothing_recorded
    fields: dict[int, dict[Field, str]] = field(default_factory=dict)
    statements: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))

    def take(self, line: LogLine, answer: Answer) -> Answer:
        """Compare a line with its step. Return the answer about it."""
        if answer.verdict != "ours" or answer.step is None or answer.grade not in PROVED:
            return answer
        entry = answer.step.entry
        known = self.fields.setdefault(entry, {})
        answer, found = compared_line(line, answer, self.record_of)
        known |= {name: why for name, why in found.lacking if name not in known}
        known |= {name: _SAME for name in found.same if known.get(name) != _DIFFERS}
        known |= {name: _DIFFERS for name, _ in found.differs}
        if found.statements:
            self.statements[entry] |= found.statements
        return answer

    def unsaid(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """Return the steps that succeeded, and of whose statements the log has all, and not the recorded one."""
        return tuple(
            one
            for one in steps
            if one.status == "succeeded" and statement_differs(self.statements.get(one.entry, 0))
        )

    def compared(self) -> int:
        """Return how many fields of steps were compared, and agree or differ."""
        states = [state for known in self.fields.values() for state in known.values()]
        states += [_statement_state(bits) for bits in self.statements.values()]
        return sum(1 for state in states if state in (_SAME, _DIFFERS))

    def uncompared(self, kind: LogKind) -> Mapping[tuple[Field, str], int]:
        """Return of how many steps each field was not compared, with why."""
        found: Counter[tuple[Field, str]] = Counter()
        for entry, known in self.fields.items():
            for name in COMPARED.get(kind, ()):
                why = known.get(name, _NOT_SAID)
                if name == "statement" and (bits := self.statements.get(entry, 0)):
                    why = _statement_state(bits) or _NOT_WHOLE
                if why not in (_SAME, _DIFFERS):
                    found[name, why] += 1
        return found


def _statement_state(bits: int) -> str:
    if statement_differs(bits):
        return _DIFFERS
    return _SAME if bits & SAME else ""
