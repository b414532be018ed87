"""Challenges: ours, of the last minute, once."""

from __future__ import annotations

import pytest

from answerable.core.identity.challenge import LIFETIME_SECONDS, Challenges
from answerable.errors import Refused, Unverified

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
    "change", ["", "x", "1000..", "1000.{c}.{m}x", "1001.{c}.{m}", "1000.{o}.{m}", "é.{c}.{m}"]
)
def test_what_we_did_not_issue_is_unknown(change):
    made = challenges()
    mac = made.issue(CHANCE, at=1000).split(".")[2]
    assert refused(made, change.format(c=CHANCE, m=mac, o=CHANCE[::-1]), 1000) == "challenge.unknown"


def test_a_challenge_of_another_process_is_unknown():
    text = challenges(bytes(31) + b"1").issue(CHANCE, at=1000)
    assert refused(challenges(), text, 1000) == "challenge.unknown"


def test_the_memory_of_taken_ones_is_bounded_and_empties_with_time():
    made = challenges(taken_max=2)
    texts = [made.issue(CHANCE[:25] + end, at=1000) for end in "012"]
    made.take(texts[0], at=1000)
    made.take(texts[1], at=1000)
    with pytest.raises(Refused) as told:
        made.take(texts[2], at=1000)
    assert told.value.code == "challenge.busy"
    later = made.issue(CHANCE, at=1100)
    made.take(later, at=1100)
