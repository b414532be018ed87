"""Who is told of a question and when the next are, whatever the rota and the clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.approval.routing import FIRST, Question, Staff, Told, turns, who_is_asked
from answerable.core.decision.facts import Requirement
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.documents.duty import DayTimes, Duty, EscalationStep, QuietHours, Shift
from answerable.core.registry.documents.on_call import quiet_until
from tests.worlds.duty_rotas import ANNA, BEN, CARLA, DAY, DORA, EVERYBODY, duty, millis, weekly

NOON = millis("2026-11-28T12:00")
ASKED = Question(requirements=(Requirement(group="pay", count=1),), tier=2, created_at=NOON, owner="dora")
STEPS = (
    EscalationStep(after_seconds=60, asks="second", when="unseen"),
    EscalationStep(after_seconds=120, asks="group"),
    EscalationStep(after_seconds=180, asks="owner"),
)


def staff(*duties: Duty, **groups: tuple[PrincipalId, ...]) -> Staff:
    members = groups or {"pay": (ANNA, BEN, CARLA)}
    return Staff(members=members, duties={one.group: one for one in duties})


def rota(**changes: object) -> Duty:
    second = Shift(people=(BEN,), times=DayTimes(), line="second")
    return replace(duty(weekly(ANNA), second, steps=STEPS), **changes)


def told(*due: Told) -> frozenset[tuple[str, int]]:
    return frozenset((one.group, one.step) for one in due)


@pytest.mark.requirement("DUTY-02")
def test_who_is_on_call_is_told_first_and_the_next_ones_when_nothing_comes():
    found = who_is_asked(ASKED, staff(rota()), NOON)
    assert [(one.step, one.people) for one in found.due] == [(FIRST, (ANNA,))]
    assert found.next_at == NOON + 60_000
    after = replace(ASKED, told=told(*found.due))
    assert who_is_asked(after, staff(rota()), UnixMillis(NOON + 59_999)).due == ()
    second = who_is_asked(after, staff(rota()), UnixMillis(NOON + 60_000))
    assert [(one.step, one.people) for one in second.due] == [(1, (BEN,))]
    later = who_is_asked(after, staff(rota()), UnixMillis(NOON + DAY))
    assert [(one.step, one.people) for one in later.due] == [
        (1, (BEN,)),
        (2, (ANNA, BEN, CARLA)),
        (3, (DORA,)),
    ]
    assert later.next_at is None


@pytest.mark.requirement("DUTY-02")
def test_what_somebody_has_seen_skips_the_step_for_what_nobody_has_and_no_other():
    seen = replace(ASKED, seen=True, told=frozenset({("pay", FIRST)}))
    assert [one.step for one in who_is_asked(seen, staff(rota()), UnixMillis(NOON + DAY)).due] == [2, 3]


@pytest.mark.requirement("DUTY-02")
def test_where_nobody_is_on_call_or_too_few_the_whole_group_is_told():
    empty = who_is_asked(ASKED, staff(duty()), NOON).due
    assert [(one.people, one.why) for one in empty] == [((ANNA, BEN, CARLA), "nobody is on call")]
    two = replace(ASKED, requirements=(Requirement(group="pay", count=2),))
    assert who_is_asked(two, staff(rota()), NOON).due[0].people == (ANNA, BEN)
    three = replace(ASKED, requirements=(Requirement(group="pay", count=3),))
    assert who_is_asked(three, staff(rota()), NOON).due[0].people == (ANNA, BEN, CARLA)
    no_second = replace(ASKED, told=frozenset({("pay", FIRST)}))
    alone = staff(duty(weekly(ANNA), steps=STEPS[:1]))
    (found,) = who_is_asked(no_second, alone, UnixMillis(NOON + 60_000)).due
    assert (found.people, found.why) == ((ANNA, BEN, CARLA), "nobody is on call in the second line")


@pytest.mark.requirement("DUTY-02")
def test_who_is_on_call_and_cannot_say_yes_is_as_if_not_on_call():
    own = replace(ASKED, barred=frozenset({ANNA}))
    assert who_is_asked(own, staff(rota()), NOON).due[0].people == (BEN,)
    nobody_else = replace(ASKED, barred=frozenset({ANNA, BEN, CARLA}))
    assert who_is_asked(nobody_else, staff(rota()), NOON).due[0].people == (ANNA, BEN, CARLA)


@pytest.mark.requirement("DUTY-02")
def test_a_group_without_a_duty_is_told_whole_and_at_once():
    found = who_is_asked(ASKED, staff(), NOON)
    assert [(one.step, one.people) for one in found.due] == [(FIRST, (ANNA, BEN, CARLA))]
    assert found.next_at is None


@pytest.mark.requirement("DUTY-02")
def test_another_group_is_asked_later_only_where_policy_names_it_as_an_alternative():
    to_ops = rota(steps=(EscalationStep(after_seconds=60, asks="other", group="ops"),))
    people = staff(to_ops, pay=(ANNA, BEN), ops=(DORA,))
    either = replace(ASKED, requirements=(Requirement(group="pay|ops", count=1),))
    first = who_is_asked(either, people, NOON)
    assert [(one.group, one.people) for one in first.due] == [("pay", (ANNA,))]
    late = replace(either, told=told(*first.due))
    assert who_is_asked(late, people, UnixMillis(NOON + 60_000)).due[0].people == (DORA,)
    only_pay = replace(ASKED, told=told(*first.due))
    (found,) = who_is_asked(only_pay, people, UnixMillis(NOON + 60_000)).due
    assert (found.people, found.why) == ((ANNA, BEN), "policy does not ask ops for this")


@pytest.mark.requirement("DUTY-02")
def test_two_groups_that_turn_to_each_other_never_both_wait():
    there = rota(steps=(EscalationStep(after_seconds=60, asks="other", group="ops"),))
    back = replace(there, name="ops", group="ops", steps=(replace(there.steps[0], group="pay"),))
    people = staff(there, back, pay=(ANNA, BEN), ops=(DORA,))
    either = replace(ASKED, requirements=(Requirement(group="pay|ops", count=1),))
    assert [one.group for one in who_is_asked(either, people, NOON).due] == ["pay"]


@pytest.mark.requirement("DUTY-02")
def test_quiet_hours_let_people_be_but_for_what_is_critical():
    quiet = QuietHours(times=DayTimes(starts_at=22 * 60, stops_at=7 * 60))
    night, morning = millis("2026-11-28T23:00"), millis("2026-11-29T07:00")
    people = staff(rota(quiet=quiet))
    late = replace(ASKED, created_at=night)
    assert who_is_asked(late, people, night).due == ()
    assert who_is_asked(late, people, night).next_at == morning
    assert [one.people for one in who_is_asked(late, people, morning).due] == [(ANNA,)]
    assert who_is_asked(late, people, morning).next_at == morning + 60_000
    critical = replace(late, tier=3)
    assert [one.people for one in who_is_asked(critical, people, night).due] == [(ANNA,)]


@pytest.mark.requirement("DUTY-02")
def test_quiet_hours_that_never_end_are_not_waited_for_for_ever():
    always = rota(quiet=QuietHours(times=DayTimes()))
    until = quiet_until(always, 0, NOON)
    assert until is not None
    assert until <= NOON + 10 * DAY


@given(
    now=st.integers(NOON - DAY, NOON + 2 * DAY).map(UnixMillis),
    steps=st.lists(
        st.builds(
            EscalationStep,
            after_seconds=st.integers(1, 86_400),
            asks=st.sampled_from(("second", "group", "owner")),
            when=st.sampled_from(("unseen", "unanswered")),
        ),
        max_size=5,
    ),
    seen=st.booleans(),
    barred=st.sets(st.sampled_from(EVERYBODY)).map(frozenset),
    answered=st.sets(st.sampled_from(EVERYBODY), max_size=2).map(frozenset),
    count=st.integers(1, 4),
    on=st.sets(st.sampled_from(EVERYBODY)).map(tuple),
)
@pytest.mark.requirement("DUTY-02")
def test_law_each_step_tells_once_somebody_who_may_answer_or_the_owner_whatever_the_clock_does(
    now, steps, seen, barred, answered, count, on
):
    group = (ANNA, BEN, CARLA)
    ours = duty(*([weekly(*on)] if on else []), steps=tuple(sorted(steps, key=lambda one: one.after_seconds)))
    asked = replace(
        ASKED,
        requirements=(Requirement(group="pay", count=count),),
        seen=seen,
        barred=barred,
        answered=answered,
    )
    found = who_is_asked(asked, staff(ours, pay=group), now)
    assert len(told(*found.due)) == len(found.due)
    for one in found.due:
        assert set(one.people) <= {*group, "dora"}
        assert answered.isdisjoint(one.people) or one.asks == "owner"
        # Fewer than everybody only where that is enough people, or the next in line.
        if one.step == FIRST and set(one.people) < set(group) - barred - answered:
            assert len(one.people) >= count
    again = replace(asked, told=told(*found.due))
    for moment in (now, UnixMillis(now - DAY)):
        assert who_is_asked(again, staff(ours, pay=group), moment).due == ()
    assert turns(asked, staff(ours, pay=group), now) == turns(again, staff(ours, pay=group), now)
