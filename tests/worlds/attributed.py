"""The answers about the lines of a log that a real server wrote, in its order."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from answerable.adapters.log_readers import BoundedLine, bounded_lines
from answerable.core.attribution.answer import Answer
from answerable.core.attribution.log_line import LogLine, UnreadLine
from answerable.core.attribution.step_index import StepIndex
from answerable.flows.forensics.attribute_log import Attribution, attribute_file

Reader = Callable[[Iterable[BoundedLine]], Iterator[LogLine | UnreadLine]]


class Told(NamedTuple):
    """What is told of one line. session: the first of its keys; empty for none."""

    verdict: str
    grade: str
    action: str
    session: str


def lines_of(text: str) -> Iterator[BoundedLine]:
    return bounded_lines(io.BytesIO(text.encode()))


def answers(
    lines: Iterable[LogLine | UnreadLine], steps: StepIndex, *governed: str
) -> tuple[Attribution, list[Told]]:
    """What is told of each line that has an answer, and of the whole log. No line may be broken."""
    found, told = Attribution(), list[Told]()

    def tell(line: LogLine, answer: Answer) -> None:
        session = line.keys[0][1] if line.keys else ""
        told.append(Told(answer.verdict, answer.grade, answer.step.action if answer.step else "", session))

    file = attribute_file(found, "log", lines, steps, frozenset(governed), tell)
    assert not file.unread["broken"]
    return found, told
