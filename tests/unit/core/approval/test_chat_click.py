"""Where a click counts, what is kept of one, and what a message shows beside its buttons."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from answerable.core.approval.assurance_level import check_strength
from answerable.core.approval.chat_click import (
    ChatAccount,
    click_fault,
    click_in,
    is_click,
    kept_click,
    object_takes_clicks,
)
from answerable.core.approval.message import asked_message
from answerable.core.approval.whole_message import BADGES_MAX, LINES_MAX, whole_lines, with_offer
from answerable.core.canonical import encode, freeze
from answerable.errors import Malformed, Refused
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.clock import START
from answerable.testing.samples import approval

CHAT = WalkLimits(signatures=("chat", "chat", "chat", "any"))
ONE = approval()


def kept(verdict="approve", reason="") -> str:
    return kept_click(
        ONE,
        ChatAccount(team="T0", user="U0"),
        by="bob",
        verdict=verdict,
        reason=reason,
        audience="x",
        nonce="0" * 64,
        request="1" * 64,
        sent_s=1,
        at=START,
    )


def test_what_is_kept_is_read_back():
    assert is_click(kept())
    assert click_in(kept()).user == "U0"
    assert click_in(kept("deny", "other")).reason == "other"


@pytest.mark.parametrize("text", ["", "x", "eyJ.e30.x", "{", '{"typ":"answerable-approval-passkey"}', "[]"])
def test_what_is_no_click_is_taken_for_none(text):
    assert not is_click(text)
    assert not is_click(text + '"answerable-approval-click"')
    assert not is_click('{"comment":"answerable-approval-click"}')


@pytest.mark.parametrize(
    "members",
    [
        {"verdict": "deny"},
        {"reason": "other"},
        {"verdict": "break_glass"},
        {"v": 2},
        {"channel": "mail"},
        {"nonce": "0" * 63},
        {"action": "X" * 64},
        {"user": ""},
        {"team": "T" * 65},
        {"more": 1},
        {"iat_ms": "1"},
    ],
)
def test_a_click_that_says_what_none_says_is_refused(members):
    text = encode({**json.loads(kept()), **members}).decode()
    with pytest.raises(Malformed):
        click_in(text)


def test_what_was_never_shown_is_not_clicked():
    assert click_fault(CHAT, replace(ONE, shown=freeze({})), tier=0) == "nothing was shown"


def test_a_signature_of_any_key_is_enough_where_a_click_is():
    effects = {"environment": "x", "kind": "pay", "sensitivity": "internal", "tier": 2}
    envelope = ONE.shown.thaw()
    envelope["value"]["effects"] = effects
    check_strength(CHAT, replace(ONE, shown=freeze(envelope)), passkey=None)
    with pytest.raises(Refused, match="passkey"):
        check_strength(replace(CHAT, signatures=("chat", "chat", "passkey", "any")), ONE_AT_TWO, passkey=None)


ENVELOPE = ONE.shown.thaw()
ENVELOPE["value"]["effects"]["tier"] = 2
ONE_AT_TWO = replace(ONE, shown=freeze(ENVELOPE))
CARD = ONE.card.thaw()


@pytest.mark.parametrize(
    "card",
    [
        [],
        {},
        {**CARD, "sentence": 1},
        {**CARD, "badges": "x"},
        {**CARD, "sentence": "x" * 501},
        {**CARD, "sentence": "a\u202eb"},
        {**CARD, "badges": ["x"] * (BADGES_MAX + 1)},
        {**CARD, "badges": ["x" * 121]},
        {**CARD, "lines": "x"},
        {**CARD, "lines": [["label"]]},
        {**CARD, "lines": [["label", 1]]},
        {**CARD, "lines": [["label", "x"]] * (LINES_MAX + 1)},
        {**CARD, "lines": [["label", "x" * 300]]},
        {**CARD, "lines": [["label", "x" * 200]] * 9},
        {**CARD, "effect": [["a[.]example", "x"]]},
        {**CARD, "prepared": [["x", "https[://]evil"]]},
    ],
    ids=lambda card: str(card)[:60],
)
def test_a_card_that_cannot_be_shown_whole_has_no_buttons(card):
    one = replace(ONE, card=freeze(card))
    assert whole_lines(one) is None
    with pytest.raises(Malformed):
        with_offer(asked_message(ONE, link="", now=START), one, "n")


def test_a_preview_and_what_was_prepared_are_shown_too():
    one = replace(ONE, card=freeze({**CARD, "effect": [["would pay", "7"]], "prepared": [["link", "x"]]}))
    lines = whole_lines(one)
    assert lines is not None
    assert ("effect: would pay", "7") in lines
    assert ("link", "x") in lines


def test_a_card_that_is_no_json_has_no_buttons():
    class Broken:
        bytes = b"{"

    assert whole_lines(replace(ONE, card=Broken())) is None


@pytest.mark.parametrize(
    ("changed", "takes"),
    [
        ({}, True),
        ({"by_click": False}, False),
        ({"effects": {"tier": 3}}, False),
        ({"requirements": []}, False),
    ],
)
def test_an_object_of_a_low_tier_that_one_person_answers_takes_a_click_if_it_says_so(changed, takes):
    value = {"by_click": True, "effects": {"tier": 2}, "requirements": [["approvers", 1]]}
    assert object_takes_clicks({**value, **changed}) is takes
