"""How answers change an approval."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.approval.approval import Answer, answered
from answerable.core.decision.facts import Requirement
from answerable.errors import Refused
from answerable.testing.clock import START
from answerable.testing.samples import approval


def answer(by="bob", verdict="approve", groups=("approvers",), at=START + 1):
    return Answer(by=by, groups=groups, verdict=verdict, comment="", at=at, token="t")


def test_enough_people_of_the_asked_group_approve():
    two = replace(approval(), requirements=(Requirement(group="approvers", count=2),))
    once = answered(two, answer())
    assert once.state == "pending"
    assert answered(once, answer("carol")).state == "approved"


def test_one_deny_ends_it_even_by_the_one_who_gave_the_task():
    assert answered(approval(), answer(verdict="deny")).state == "denied"
    assert answered(approval(), answer("alice", "deny")).state == "denied"


@pytest.mark.parametrize(
    ("given", "waiting", "code"),
    [
        (answer("alice"), approval(), "approval.own_mandate"),
        (answer(groups=("others",)), approval(), "approval.not_asked"),
        (answer(at=approval().expires_at), approval(), "approval.not_pending"),
        (answer(), replace(approval(), state="used"), "approval.not_pending"),
        (answer(), replace(approval(), answers=(answer(),)), "approval.answered_already"),
    ],
)
def test_an_answer_that_may_not_be_given_is_refused(given, waiting, code):
    with pytest.raises(Refused) as raised:
        answered(waiting, given)
    assert raised.value.code == code
