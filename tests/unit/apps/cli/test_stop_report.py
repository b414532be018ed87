"""A report over several shards names each entry so that `show` takes it where it was asked."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from answerable.api import hold_answers as answers
from answerable.apps.cli.stop_report import ReportView
from answerable.apps.cli.terminal import Terminal

pytestmark = pytest.mark.requirement("STOP-03")
AT = "2026-12-02T10:00:00Z"
FLIGHT = answers.Flight(
    log="house/b", entry=34, action="x1", agent="scout", capability="crm.refund", since=AT, due=AT,
    status="indeterminate", ended_at=AT, outcome=36,
)  # fmt: skip
DONE = answers.DoneAction(
    log="house/b",
    entry=35,
    action="x0",
    agent="scout",
    capability="crm.read",
    at=AT,
    status="succeeded",
    undoing="read",
)
AT_A = answers.ContainmentReport(
    hold="hold_x", complete=True, due=None, log="house/a", entry=36, recorded=37,
    stopped=answers.EndedByHold(
        approvals=(), instances=(), instances_count=0, mandates=(), mandates_count=0, leases=()
    ),
    last_effect=DONE, in_flight=(FLIGHT,), in_flight_count=1, running=0, started_after=(), started_after_count=0,
    done=(DONE,), done_count=answers.DoneCount(not_reversible=0, reversible=0, read=1), live=(), live_count=0,
    live_all=True, not_asked=(), elsewhere=None, looked_from=0, entries=40,
)  # fmt: skip


def printed(report: answers.ContainmentReport, capsys: pytest.CaptureFixture[str]) -> str:
    view = ReportView(Terminal(), None)
    view.update(report)
    view.summary(report)
    return capsys.readouterr().out


def test_an_entry_of_another_shard_is_named_with_the_shard(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(AT_A, capsys)
    assert "crm.refund (x1, entry b/34)" in said
    assert "crm.read (x0, entry b/35)" in said
    assert "entry 36 of house/a" in said
    assert "crm.read (x0, entry 35)" in printed(replace(AT_A, log="house/b"), capsys)


def test_the_record_in_another_shard_is_named_with_its_address(capsys: pytest.CaptureFixture[str]) -> None:
    there = answers.OnRecord(log="house/a", entry=36, recorded=37)
    at_b = replace(AT_A, log="house/b", entry=None, recorded=None, elsewhere=there)
    said = printed(at_b, capsys)
    assert "entry a/36" in said
    assert "entry a/37" in said
    assert "not yet" not in said
    assert "not yet" in printed(replace(at_b, elsewhere=replace(there, recorded=None)), capsys)


def test_a_log_that_could_not_be_asked_is_named_where_it_may_have_the_record_and_beside_the_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    silent = (answers.NotAsked(log="house/a", why="it is not running"),)
    said = printed(replace(AT_A, log="house/b", entry=None, recorded=None, not_asked=silent), capsys)
    assert "not in house/b: perhaps in a log that could not be queried" in said
    assert "1, all ended, without house/a" in said
    assert "none, without house/a" in printed(
        replace(AT_A, not_asked=silent, in_flight=(), in_flight_count=0), capsys
    )
