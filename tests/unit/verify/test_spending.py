"""What mandates and approvals allow, over forged logs that are read at once or in ranges."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.core.canonical import JSONValue
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.testing.clock import START
from tests.worlds.ledger import BEGIN, ForgedLog, checked, end, entry, intent, prelude, rules

pytestmark = [pytest.mark.requirement("LEDGER-44"), pytest.mark.parametrize("cut", [False, True])]


def issued(**changed: JSONValue) -> Entry:
    members: dict[str, JSONValue] = {
        "agent": "scout",
        "budgets": {"rows": 10},
        "calls_max": 3,
        "expires": START + 1_000,
        "mandate": "m-1",
        "principal": "ab" * 32,
    }
    return entry(Tag.MANDATE_ISSUED, {**members, **changed})


def closed(mandate: str = "m-1") -> Entry:
    return entry(Tag.MANDATE_CLOSED, {"agent": "scout", "mandate": mandate})


def acted(
    index: int, *, status: str = "succeeded", at: int = START, returned: int = 0, **changed: JSONValue
) -> list[Entry]:
    """An intent that stands there, and its end."""
    begun = intent(f"a-{index}", at=at, **changed)
    back: dict[str, JSONValue] = {"returned": {"rows": returned}} if returned else {}
    return [begun, end(begun, index, f"a-{index}", status, **back)]


def rows(amount: int, calls: int = 1) -> dict[str, JSONValue]:
    return {"reserved": {"calls": calls, "rows": amount}}


def found(directory: Path, entries: list[Entry], *, cut: bool) -> list[tuple[str, int | None]]:
    """The rules broken, each with its entry. cut: each entry is a segment of its own, checked by itself and joined."""
    log = ForgedLog(
        directory=directory,
        entries=[*prelude(), *entries],
        seals=(BEGIN + len(entries),),
        cuts=tuple(range(1, BEGIN + len(entries))) if cut else (),
    )
    report = checked(log.written())
    assert rules(report) == {one.rule for one in report.findings if one.rule.startswith("pair.")}
    return [(one.rule, one.index) for one in report.findings]


ONE = BEGIN + 1


def test_what_stays_within_its_mandate_is_sound(tmp_path: Path, cut: bool) -> None:
    entries = [
        issued(),
        *acted(ONE, **rows(8), returned=4),
        *acted(ONE + 2, **rows(6), approval="appr_1"),
        *acted(ONE + 4, approval="appr_2"),
        closed(),
    ]
    assert found(tmp_path, entries, cut=cut) == []


def test_a_second_intent_under_one_approval_is_found(tmp_path: Path, cut: bool) -> None:
    entries = [
        *acted(BEGIN, approval="appr_1"),
        *acted(BEGIN + 2, approval="appr_2"),
        *acted(BEGIN + 4, approval="appr_1"),
    ]
    assert found(tmp_path, entries, cut=cut) == [("pair.approval_used", BEGIN + 4)]


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_what_is_done_under_an_intent_after_the_close_of_its_mandate_is_found(
    tmp_path: Path, cut: bool, status: str
) -> None:
    before = intent("a-before")
    entries = [
        issued(),
        before,
        closed(),
        closed("m-2"),
        # Begun before the close, and so at its end no fault.
        end(before, ONE, "a-before"),
        *acted(BEGIN + 5, status=status),
    ]
    assert found(tmp_path, entries, cut=cut) == [("pair.mandate_ended", BEGIN + 6)]


@pytest.mark.parametrize("status", ["not_started", "indeterminate"])
def test_an_intent_that_waited_for_its_place_during_the_close_is_no_fault_if_nothing_was_done(
    tmp_path: Path, cut: bool, status: str
) -> None:
    begun, ended = acted(BEGIN + 2, status=status)
    entries = [issued(), closed(), begun, ended]
    assert found(tmp_path, entries, cut=cut) == []
    if status == "indeterminate":
        corrected = [*entries, end(begun, BEGIN + 2, f"a-{BEGIN + 2}", "failed")]
        assert found(tmp_path / "failed", corrected, cut=cut) == []
        corrected = [*entries, end(begun, BEGIN + 2, f"a-{BEGIN + 2}")]
        assert found(tmp_path / "done", corrected, cut=cut) == [("pair.mandate_ended", BEGIN + 4)]


def test_what_is_done_under_an_intent_of_an_expired_mandate_is_found(tmp_path: Path, cut: bool) -> None:
    late = START + 1_000
    entries = [issued(), *acted(ONE, at=late - 1), *acted(ONE + 2, at=late)]
    assert found(tmp_path, entries, cut=cut) == [("pair.mandate_ended", ONE + 3)]
    nothing_said = [issued(expires=0), *acted(ONE, at=late)]
    assert found(tmp_path / "other", nothing_said, cut=cut) == []


def test_an_intent_beyond_a_budget_is_found(tmp_path: Path, cut: bool) -> None:
    entries = [issued(), *acted(ONE, **rows(8)), *acted(ONE + 2, **rows(3))]
    assert found(tmp_path, entries, cut=cut) == [("pair.budget_spent", ONE + 2)]
    calls = [issued(calls_max=1), *acted(ONE), *acted(ONE + 2)]
    assert found(tmp_path / "calls", calls, cut=cut) == [("pair.budget_spent", ONE + 2)]
    elsewhere = [*acted(BEGIN, **rows(8)), *acted(BEGIN + 2, **rows(8))]
    assert found(tmp_path / "elsewhere", elsewhere, cut=cut) == []
