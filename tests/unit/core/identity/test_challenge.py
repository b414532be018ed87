"""Challenges: ours, of the last minute, once."""

from __future__ import annotations

import pytest

from answerable.core.identity.workload.challenge import LIFETIME_SECONDS, Challenges
from answerable.errors import Unverified

CHANCE = "0123456789abcdefghjkmnpqrs"


def challenges(secret: bytes = bytes(32), **limits: int) -> Challenges:
    return Challenges(secret=secret, **limits)


def refused(made: Challenges, text: str, at: float) -> str:
    with pytest.raises(Unverified) as told:
        made.take(text, at=at)
    return told.value.code


def test_a_challenge_is_taken_once():
    made = challenges()
    text = made.issue(CHANCE, at=1000.7)
    made.check(text, at=1000.7)
    made.take(text, at=1060.9)
    assert refused(made, text, 1001) == "challenge.used"


def test_it_lives_a_minute():
    made = challenges()
    text = made.issue(CHANCE, at=1000.7)
    assert refused(made, text, 1001 + LIFETIME_SECONDS) == "challenge.expired"
    assert refused(made, text, 999) == "challenge.expired"


@pytest.mark.parametrize(
    "change",
    [
        "",
        "x",
        "1000...",
        "1000.0.{c}.{m}x",
        "1001.0.{c}.{m}",
        "1000.1.{c}.{m}",
        "1000.-1.{c}.{m}",
        "1000.{c}.{m}",
        "1000.0.{o}.{m}",
        "é.0.{c}.{m}",
    ],
)
def test_what_we_did_not_issue_is_unknown(change):
    made = challenges()
    mac = made.issue(CHANCE, at=1000).split(".")[3]
    assert refused(made, change.format(c=CHANCE, m=mac, o=CHANCE[::-1]), 1000) == "challenge.unknown"


def test_a_challenge_of_another_process_is_unknown():
    text = challenges(bytes(31) + b"1").issue(CHANCE, at=1000)
    assert refused(challenges(), text, 1000) == "challenge.unknown"


def test_taking_any_number_leaves_room_for_the_next_and_each_is_taken_once():
    made = challenges(issued_max=10)
    first = made.issue(CHANCE, at=1000)
    for _ in range(100):
        text = made.issue(CHANCE, at=1000)
        made.take(text, at=1000)
        assert refused(made, text, 1000) == "challenge.used"
    assert refused(made, first, 1000) == "challenge.expired"
    last = [made.issue(CHANCE, at=1000) for _ in range(10)]
    for text in last:
        made.take(text, at=1000)
    assert {refused(made, text, 1000) for text in last} == {"challenge.used"}


def test_one_that_waited_while_as_many_were_taken_as_there_is_room_for_is_still_good():
    made = challenges(issued_max=10)
    first = made.issue(CHANCE, at=1000)
    for _ in range(9):
        made.take(made.issue(CHANCE, at=1000), at=1000)
    made.take(first, at=1000)
    assert refused(made, first, 1000) == "challenge.used"
    # Past that its bit is another's: it must not be taken again because that one was not.
    made.issue(CHANCE, at=1000)
    assert refused(made, first, 1000) == "challenge.expired"
