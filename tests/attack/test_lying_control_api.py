"""A control API that shows a person one thing and would have another signed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answerable.api.approval_answers import Approval
from answerable.apps.cli.shown_object import shown_whole
from answerable.core.approval.card import card_of
from answerable.core.canonical import freeze
from answerable.errors import Unverified
from answerable.testing.samples import approval
from tests.worlds.answers import filled

pytestmark = pytest.mark.requirement("SIGN-05")


def sent(**changes: str) -> Approval:
    """What the control API sends of an approval, as far as it is signed."""
    one = approval()
    texts = {"action": one.action, "object": one.shown, "card": one.card}
    said = {"id": one.id} | {name: value.bytes.decode() for name, value in texts.items()} | changes
    return filled(Approval, **said)


def changed(text: str, **members: Any) -> str:
    return freeze({**json.loads(text), **members}).bytes.decode()


def test_what_fits_together_is_shown():
    shown, card = shown_whole(sent())
    assert (shown, card) == (approval().shown, approval().card)


LARGE = approval(amount=999_999)
LIES = {
    "another action than it shows": {"action": LARGE.action.bytes.decode()},
    "another object than it would run": {"object": LARGE.shown.bytes.decode()},
    "the card of another object": {"card": LARGE.card.bytes.decode()},
    "both of another action": {"object": LARGE.shown.bytes.decode(), "card": LARGE.card.bytes.decode()},
    "another approval": {"id": "a-2"},
    "a card with another sentence": {"card": changed(sent().card, sentence="Send flowers")},
    "a card that leaves out a line": {"card": changed(sent().card, all=[])},
    "a card of another template": {"card": changed(sent().card, template="action/0")},
}


@pytest.mark.parametrize("lie", LIES)
def test_nothing_is_signed_where_the_words_do_not_fit(lie):
    with pytest.raises(Unverified) as told:
        shown_whole(sent(**LIES[lie]))
    assert told.value.code == "cli.digest"


def test_the_card_is_made_from_the_object_and_from_nothing_else():
    assert card_of(approval().shown) == approval().card
