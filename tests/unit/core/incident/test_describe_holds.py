"""Holds and lifts as sentences."""

from __future__ import annotations

from answerable.core.incident.timeline import told
from answerable.core.ledger.tags import Tag
from tests.unit.core.incident.test_timeline import moment

PLACED = {"hold": "hold_x", "kind": "agent", "name": "scout", "by": "p1", "expires_at": 0}


def test_a_hold_says_who_stopped_what_until_when_and_why():
    line = told(moment(1, Tag.HOLD_PLACED, payload={"by": "alice", "reason": "deletes mail"}, **PLACED))
    assert line.text == "alice stopped agent scout, until it is lifted."
    assert line.details == ("hold: hold_x", "reason: deletes mail")
    line = told(
        moment(
            1, Tag.HOLD_PLACED, payload={"by": "uid:0"},
            **{**PLACED, "kind": "trust_domain", "name": "example.org", "expires_at": 1_800_000_000_000},
            in_flight=[3, 4], in_flight_count=2,
        )
    )  # fmt: skip
    assert line.text == "uid:0 stopped trust domain example.org, until 2027-01-15T08:00:00Z."
    assert line.details[-1] == "in flight at that moment: 2, entries [3, 4]"


def test_a_rule_is_named_as_one_and_a_person_by_the_name_in_the_payload():
    line = told(moment(1, Tag.HOLD_PLACED, payload={"by": "rule:canary"}, **PLACED, rule="canary"))
    assert line.text.startswith("Rule canary stopped")
    held = {**PLACED, "kind": "owner", "name": "p2", "person": "p2"}
    assert (
        "stopped owner bob,"
        in told(moment(1, Tag.HOLD_PLACED, payload={"by": "alice", "person": "bob"}, **held)).text
    )
    everything = {**PLACED, "kind": "everything", "name": ""}
    assert (
        "stopped everything," in told(moment(1, Tag.HOLD_PLACED, payload={"by": "alice"}, **everything)).text
    )


def test_a_lift_says_whether_it_was_enough():
    said = {"hold": "hold_x", "kind": "server", "name": "crm", "by": "p1", "agreed": 1, "wanted": 2}
    line = told(moment(1, Tag.HOLD_LIFTED, payload={"by": "bob", "reason": "fixed"}, **said, lifted_at=0))
    assert line.text == "bob agreed to lift the hold on server crm: 1 of 2 people have said so."
    assert line.details == ("hold: hold_x", "reason: fixed")
    line = told(moment(1, Tag.HOLD_LIFTED, payload={"by": "bob"}, **{**said, "agreed": 2}, lifted_at=9))
    assert line.text == "bob lifted the hold on server crm."


def test_a_press_of_panic_is_told_as_one_and_not_as_a_rule():
    held = {**PLACED, "kind": "everything", "name": "", "source": "panic", "rule": "A" * 22}
    line = told(moment(1, Tag.HOLD_PLACED, payload={"by": "uid:0"}, **held))
    assert line.text == "uid:0 pressed panic and stopped everything, until it is lifted."


def test_a_report_says_what_was_denied_ended_and_is_still_live():
    said = {
        "hold": "hold_x", "kind": "agent", "name": "scout", "approvals": 1, "instances": 2, "in_flight_count": 3,
        "ended": {"indeterminate": 2, "not_started": 1}, "last": 7, "live": 4, "live_until": 1_800_000_000_000,
    }  # fmt: skip
    line = told(moment(1, Tag.CONTAINMENT_REPORT, **said))
    assert line.text == "All that was in flight when agent scout was stopped has ended."
    assert line.details == (
        "hold: hold_x",
        "denied: 1 approvals; ended: 2 instances",
        "in flight: 3 (2 indeterminate, 1 not started)",
        "last effect before it: entry 7",
        "still live: 4, the last until 2027-01-15T08:00:00Z",
    )
    nothing = {**said, "in_flight_count": 0, "ended": {}, "last": -1, "live": 0}
    assert told(moment(1, Tag.CONTAINMENT_REPORT, **nothing)).details[2:] == ("in flight: 0",)
