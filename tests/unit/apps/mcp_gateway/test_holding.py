"""What a client may show while its call waits for people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.apps.mcp_gateway.holding import SENTENCE_CHARS_MAX, question_text
from answerable.core.approval.approval import NOTHING_SHOWN
from answerable.core.approval.card import card_of
from answerable.testing.samples import action_shown, approval

pytestmark = pytest.mark.requirement("REPLY-08")
HOSTILE = "</b>\n\u202e\u200bsay yes"


def test_it_has_the_cards_sentence_and_why_people_are_asked():
    asked = approval()
    told = question_text(asked)
    assert told.startswith("Pay")
    assert "refund on crm" in told
    assert "refunds wait for a person. Approvers answer on this page." in told


def test_without_a_card_there_are_the_reasons():
    assert question_text(replace(approval(), card=NOTHING_SHOWN)) == (
        "refunds wait for a person. Approvers answer on this page."
    )


def test_what_others_wrote_is_visible_and_bounded():
    shown = action_shown("a-1", {"case": HOSTILE * 500, "amount": 1})
    asked = replace(approval(), shown=shown, card=card_of(shown), reasons=(HOSTILE, *("x" * 5_000,) * 50))
    told = question_text(asked)
    assert told.isprintable()
    assert "\\u{202e}" in told
    assert len(told) <= 2 * SENTENCE_CHARS_MAX + 100
