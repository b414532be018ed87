"""When schedules are due."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from answerable.core.registry.documents.time_rule import TimeRule, due, said

FIRST, LAST = date(2026, 11, 16), date(2026, 11, 27)
NIGHTLY = TimeRule(first=FIRST, last=LAST, at=(120, 1430), within=30, days=("mon", "tue"))
HOURLY = TimeRule(first=FIRST, last=LAST, every=90, within=10)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("rule", "now", "start"),
    [
        (NIGHTLY, "2026-11-16T02:00:00", "2026-11-16T02:00:00"),
        (NIGHTLY, "2026-11-16T02:29:59.999", "2026-11-16T02:00:00"),
        (NIGHTLY, "2026-11-16T02:30:00", None),
        (NIGHTLY, "2026-11-16T01:59:59.999", None),
        (NIGHTLY, "2026-11-18T02:05:00", None),
        (NIGHTLY, "2026-11-18T00:05:00", "2026-11-17T23:50:00"),
        (NIGHTLY, "2026-11-10T02:05:00", None),
        (NIGHTLY, "2026-11-30T02:05:00", None),
        (HOURLY, "2026-11-15T23:59:00", None),
        (HOURLY, "2026-11-16T00:00:00", "2026-11-16T00:00:00"),
        (HOURLY, "2026-11-16T01:39:59", "2026-11-16T01:30:00"),
        (HOURLY, "2026-11-16T01:40:00", None),
        (HOURLY, "2026-11-27T22:35:00", "2026-11-27T22:30:00"),
        (HOURLY, "2026-11-28T00:05:00", None),
    ],
)
def test_a_moment_belongs_to_one_due_time_or_to_none(rule, now, start):
    assert due(rule, ms(now)) == (None if start is None else ms(start))


def test_a_rule_is_said_in_words():
    assert said(NIGHTLY) == (
        "at 02:00, 23:50 UTC on mon, tue, from 2026-11-16 to 2026-11-27, within 30 minutes"
    )
    assert said(HOURLY) == "every 90 minutes UTC, from 2026-11-16 to 2026-11-27, within 10 minutes"
