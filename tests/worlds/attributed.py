"""The answers about the lines of a log that a real server wrote, in its order."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from answerable.adapters.log_readers import BoundedLine, bounded_lines
from answerable.core.attribution.answer import Answer
from answerable.core.attribution.log_line import LogKind, LogLine, UnreadLine
from answerable.core.attribution.step_index import StepIndex
from answerable.flows.forensics.attribute_log import Attribution, attribute_file
from answerable.wiring.target_logs import LogFiles, opened_contents, recorded_steps

Reader = Callable[[Iterable[BoundedLine]], Iterator[LogLine | UnreadLine]]


class Told(NamedTuple):
    """What is told of one line. session: the first of its keys; empty for none."""

    verdict: str
    grade: str
    action: str
    session: str


def bare(lines: Iterable[LogLine | UnreadLine]) -> list[LogLine | UnreadLine]:
    """The lines without what they say of content."""
    return [structs.replace(one, content=()) if isinstance(one, LogLine) else one for one in lines]


def compared_file(kind: LogKind, log: Path, data: Path) -> tuple[Attribution, StepIndex]:
    """What is told of a log, with contents compared by the keys of a data directory whose server has stopped."""
    found, steps = Attribution(), recorded_steps(data / "ledger")
    with (
        opened_contents(data / "ledger", data) as record_of,
        LogFiles(kind, zone="+00:00").opened(log) as lines,
    ):
        assert record_of is not None
        found.content.record_of = record_of
        attribute_file(found, str(log), lines, steps, frozenset())
    return found, steps


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
