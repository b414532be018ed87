"""What is counted of a log, and what is kept."""

from __future__ import annotations

import pytest

from answerable.core.attribution.content import Recorded, Said
from answerable.core.attribution.log_line import LogLine, UnreadLine
from answerable.core.attribution.step import SKEW_MS
from answerable.flows.forensics import attribute_log
from answerable.flows.forensics.attribute_log import Attribution, attribute_file, told_steps
from tests.unit.core.attribution.test_attribute_line import AT, SHARED, action, line, one_action, own, shared

NOBODY = frozenset[str]()


@pytest.mark.requirement("ATTRIBUTE-06")
def test_lines_of_others_are_counted_and_nothing_of_them_is_kept() -> None:
    found = Attribution()
    lines = [line("alice", "b.1", at=AT + second) for second in range(9)]
    file = attribute_file(found, "a", [*lines, UnreadLine(10, "broken")], one_action().index(), NOBODY)
    assert (file.lines, file.others, dict(file.unread)) == (10, 9, {"broken": 1})
    assert (file.first, file.last) == (AT, AT + 8)
    assert (found.kept, found.counts, found.odd) == ([], {}, 0)


@pytest.mark.requirement("ATTRIBUTE-05", "ATTRIBUTE-07")
def test_what_needs_a_person_is_kept_up_to_a_bound_and_counted_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attribute_log, "KEPT_MAX", 2)
    found = Attribution()
    told: list[str] = []
    lines: list[LogLine | UnreadLine] = [
        line(own(1), "a.1"),
        line(own(1), "a.9"),
        line(own(1), "a.9", at=0),
        line("alice", "b.1", action(1)),
        UnreadLine(5, "ambiguous"),
    ]
    steps = one_action().index()
    attribute_file(found, "a", lines, steps, NOBODY, lambda _, answer: told.append(answer.verdict))
    assert told == ["ours", "bypass", "bypass", "forged"]
    assert (len(found.kept), found.dropped, found.odd) == (2, 1, 4)
    assert [(step.action, count) for step, count in told_steps(found, steps)] == [(action(1), 1)]


@pytest.mark.requirement("ATTRIBUTE-04", "ATTRIBUTE-05")
def test_a_candidate_is_no_phantom_and_a_target_without_a_line_is_not_compared() -> None:
    steps = shared().index()
    around = [line("alice", at=AT - 60_000), line("alice", at=AT + 200_000)]
    found = Attribution()
    attribute_file(found, "a", [*around, line(SHARED, "a.9")], steps, NOBODY)
    assert found.unseen(steps, ()).phantoms == ()
    assert [one.action for one in found.unseen(steps, ("db",)).phantoms] == [action(1), action(3)]
    attribute_file(found, "b", [line(SHARED, "a.1", at=0)], steps, NOBODY)
    assert [one.action for one in found.unseen(steps, ()).phantoms] == [action(3)]


@pytest.mark.requirement("ATTRIBUTE-12")
@pytest.mark.parametrize(("begins", "unsaid"), [(AT - SKEW_MS, [action(1)]), (AT - SKEW_MS + 1, [])])
def test_a_log_tells_a_statement_as_missing_of_a_step_only_where_it_begins_before_it(
    begins: int, unsaid: list[str]
) -> None:
    steps, found = one_action().index(), Attribution()
    found.content.record_of = lambda _: Recorded(values={"statement": ("SELECT 1",)})
    end = line(own(1), "a.1", content=(Said("statement", ("COMMIT",)),))
    attribute_file(found, "a", [line("alice", at=begins), end], steps, NOBODY)
    assert [one.action for one in found.unsaid(steps)] == unsaid
