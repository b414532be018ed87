"""Who is on call: by the clock on the wall, on every day that a clock is set, and for every rota."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.registry.documents.duty import DayTimes, Shift
from answerable.core.registry.documents.on_call import cover_gaps, on_call
from answerable.core.registry.parsing.active import faults_of, findings
from answerable.testing.builders import bench_documents
from answerable.testing.samples import document
from tests.worlds.duty_rotas import (
    ANNA,
    BEN,
    BERLIN,
    CARLA,
    DORA,
    EVERYBODY,
    HOUR,
    MINUTE,
    duty,
    millis,
    weekly,
)


@pytest.mark.requirement("DUTY-01")
def test_a_shift_begins_and_ends_by_the_clock_on_the_wall_in_winter_and_in_summer():
    rota = duty(weekly(ANNA, at="08:00-18:00"))
    for day in ("2026-01-15", "2026-07-15"):
        assert on_call(rota, millis(f"{day}T08:00")) == (ANNA,)
        assert on_call(rota, UnixMillis(millis(f"{day}T08:00") - 1)) == ()
        assert on_call(rota, UnixMillis(millis(f"{day}T18:00") - 1)) == (ANNA,)
        assert on_call(rota, millis(f"{day}T18:00")) == ()


@pytest.mark.requirement("DUTY-01")
def test_a_night_on_which_the_clock_is_set_loses_no_minute():
    night = duty(weekly(ANNA, at="22:00-06:00"))
    for evening, hours in (("2026-03-28", 7), ("2026-10-24", 9), ("2026-06-10", 8)):
        begins = millis(f"{evening}T22:00")
        assert all(on_call(night, UnixMillis(begins + at * MINUTE)) == (ANNA,) for at in range(hours * 60))
        assert on_call(night, UnixMillis(begins + hours * HOUR)) == ()


@pytest.mark.requirement("DUTY-01")
def test_shifts_that_meet_in_the_hour_that_comes_twice_or_never_leave_nobody_uncovered():
    rota = duty(weekly(ANNA, at="00:00-02:30"), weekly(BEN, at="02:30-00:00"))
    for day in ("2026-03-29", "2026-10-25"):
        begins = millis(f"{day}T00:00")
        assert cover_gaps(rota, EVERYBODY, since=begins, days=1) == ()
        assert all(on_call(rota, UnixMillis(begins + at * MINUTE)) for at in range(24 * 60))
    # The hour that comes twice has both on call, the earlier one and the later one.
    assert set(on_call(rota, millis("2026-10-25T02:45"))) == {ANNA, BEN}


@pytest.mark.requirement("DUTY-01")
def test_a_shift_that_begins_in_the_hour_that_never_comes_covers_what_is_left_of_it():
    rota = duty(weekly(ANNA, at="02:30-03:15"))
    assert on_call(rota, millis("2026-03-29T03:05")) == (ANNA,)
    assert on_call(rota, millis("2026-03-29T03:15")) == ()


@pytest.mark.requirement("DUTY-01")
def test_people_take_turns_from_their_first_day_on():
    rota = duty(weekly(ANNA, BEN, CARLA, turn_days=7, first=date(2026, 11, 2)))
    monday = date(2026, 11, 2)
    said = [on_call(rota, millis(f"{monday + timedelta(weeks=week)}T12:00")) for week in range(4)]
    assert said == [(ANNA,), (BEN,), (CARLA,), (ANNA,)]
    assert on_call(rota, millis("2026-11-01T12:00")) == ()


@pytest.mark.requirement("DUTY-01")
def test_a_turn_belongs_to_the_day_on_which_the_shift_begins():
    rota = duty(weekly(ANNA, BEN, at="20:00-08:00", turn_days=1, first=date(2026, 11, 2)))
    assert on_call(rota, millis("2026-11-02T21:00")) == (ANNA,)
    assert on_call(rota, millis("2026-11-03T07:59")) == (ANNA,)
    assert on_call(rota, millis("2026-11-03T20:00")) == (BEN,)


@pytest.mark.requirement("DUTY-01")
def test_of_shifts_that_overlap_all_are_on_call_each_once():
    rota = duty(
        weekly(ANNA),
        weekly(BEN, ANNA, at="12:00-14:00"),
        Shift(people=(CARLA,), times=DayTimes(), line="second"),
    )
    assert on_call(rota, millis("2026-11-28T13:00")) == (ANNA, BEN)
    assert on_call(rota, millis("2026-11-28T13:00"), "second") == (CARLA,)


@pytest.mark.requirement("DUTY-01")
def test_one_stretch_is_read_by_the_wall_clock_too():
    rota = duty(Shift(people=(DORA,), begins=datetime(2026, 12, 24, 18), ends=datetime(2026, 12, 27, 8)))
    assert on_call(rota, millis("2026-12-26T03:00")) == (DORA,)
    assert on_call(rota, millis("2026-12-27T08:00")) == ()


@given(
    shifts=st.lists(
        st.builds(
            lambda who, days, starts, stops: Shift(
                people=(who,), times=DayTimes(days=days, starts_at=starts, stops_at=stops)
            ),
            who=st.sampled_from(EVERYBODY),
            days=st.sets(st.sampled_from(("mon", "tue", "sat", "sun")), min_size=1).map(tuple),
            starts=st.integers(0, 1439),
            stops=st.integers(0, 1439),
        ),
        max_size=4,
    ),
    zone=st.sampled_from((BERLIN, "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC")),
    day=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    gone=st.sets(st.sampled_from(EVERYBODY), max_size=2),
)
@pytest.mark.requirement("DUTY-01")
def test_law_a_moment_is_in_a_gap_exactly_where_no_member_is_on_call(shifts, zone, day, gone):
    rota = duty(*shifts, zone=zone)
    members = set(EVERYBODY) - gone
    since = UnixMillis(round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000))
    gaps = cover_gaps(rota, members, since=since, days=3)
    assert list(gaps) == sorted(gaps)
    assert all(begins < ends for begins, ends in gaps)
    for quarter in range(3 * 24 * 4):
        now = UnixMillis(since + quarter * 15 * MINUTE)
        in_gap = any(begins <= now < ends for begins, ends in gaps)
        assert in_gap == members.isdisjoint(on_call(rota, now))


@pytest.mark.requirement("DUTY-01")
def test_what_nobody_covers_and_who_is_no_member_is_told_when_documents_are_checked():
    night: dict[str, object] = {"people": ["dan"], "from": "18:00", "until": "08:00"}
    spec = {
        "group": "approvers",
        "timeZone": BERLIN,
        "shifts": [{"people": ["bob"], "from": "08:00", "until": "18:00"}, night],
        "escalation": [{"afterSeconds": 60, "ask": "second"}],
    }
    documents = [*bench_documents(), document("Duty", "approvers", spec)]
    assert faults_of(documents) == ()
    told = {one.code: one.message for one in findings(documents, today="2026-11-28") if one.kind == "Duty"}
    assert told.keys() == {"duty.stranger", "duty.gap", "duty.no_second"}
    assert "`dan`" in told["duty.stranger"]
    assert "Sat 2026-11-28 18:00 to Sun 2026-11-29 08:00 (Europe/Berlin)" in told["duty.gap"]
    spec["shifts"] = [{"people": ["bob"]}, {"people": ["carol"], "line": "second"}]
    covered = [*bench_documents(), document("Duty", "approvers", spec)]
    assert [one for one in findings(covered, today="2026-11-28") if one.kind == "Duty"] == []


@pytest.mark.requirement("DUTY-01")
@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"timeZone": "Mars/Base"}, "duty.zone"),
        ({"timeZone": "../../../etc/passwd"}, "duty.zone"),
        ({"timeZone": "/etc/localtime"}, "duty.zone"),
        ({"group": "nobody-is-in"}, "reference.missing"),
        ({"deputies": ["nobody-is-in"]}, "reference.missing"),
        ({"shifts": [{"people": []}]}, "duty.shift"),
        ({"shifts": [{"people": ["nobody"]}]}, "reference.missing"),
        ({"shifts": [{"people": ["bob"], "from": "24:00"}]}, "document.pattern"),
        ({"shifts": [{"people": ["bob"], "days": ["caturday"]}]}, "document.choice"),
        ({"shifts": [{"people": ["bob"], "turnDays": 7}]}, "document.missing"),
        ({"shifts": [{"people": ["bob"], "begins": "2026-12-24T18:00"}]}, "document.missing"),
        (
            {"shifts": [{"people": ["bob"], "begins": "2026-12-24T18:00", "ends": "2026-12-24T17:00"}]},
            "duty.shift",
        ),
        (
            {
                "shifts": [
                    {
                        "people": ["bob"],
                        "begins": "2026-12-24T18:00",
                        "ends": "2026-12-25T17:00",
                        "days": ["mon"],
                    }
                ]
            },
            "duty.shift",
        ),
        ({"shifts": [{"people": ["bob"]}] * 65}, "document.size"),
        ({"escalation": [{"afterSeconds": 9, "ask": "group"}] * 9}, "document.size"),
        ({"escalation": [{"afterSeconds": 0, "ask": "group"}]}, "document.range"),
        ({"escalation": [{"afterSeconds": 9, "ask": "other"}]}, "duty.step"),
        (
            {"escalation": [{"afterSeconds": 9, "ask": "group"}, {"afterSeconds": 8, "ask": "group"}]},
            "duty.step",
        ),
        ({"delegationDaysMax": 91}, "document.range"),
        (
            {"shifts": [{"people": ["bob"], "firstDay": "2026-12-02", "lastDay": "2026-12-01"}]},
            "duty.shift",
        ),
        (
            {"shifts": [{"people": ["bob"], "begins": "2026-12-24", "ends": "2026-13-25T18:00"}]},
            "document.date",
        ),
        (
            {"shifts": [{"people": ["bob"], "begins": "2026-12-24T18:00", "ends": "2026-02-30T18:00"}]},
            "document.date",
        ),
        ({"quietHours": {"from": "22:00"}}, "document.missing"),
        ({"anything": 1}, "document.unknown_key"),
    ],
)
def test_a_duty_that_cannot_be_meant_is_refused(spec, code):
    whole = {"group": "approvers", "timeZone": BERLIN, "shifts": [{"people": ["bob"]}], **spec}
    assert code in [one.code for one in faults_of([*bench_documents(), document("Duty", "pay", whole)])]


@pytest.mark.requirement("DUTY-01")
def test_there_are_so_many_duties_and_no_more():
    spec = {"group": "approvers", "timeZone": BERLIN}
    documents = [*bench_documents(), *(document("Duty", f"d{number:03}", spec) for number in range(257))]
    assert [one.code for one in faults_of(documents)].count("document.count") == 1


@pytest.mark.requirement("DUTY-01")
def test_a_group_has_one_duty():
    spec = {"group": "approvers", "timeZone": BERLIN}
    both = [*bench_documents(), document("Duty", "a", spec), document("Duty", "b", spec)]
    assert [one.code for one in faults_of(both)] == ["duty.group"]
