"""Render a Slack message with buttons: every line of the card in full, then approve, deny, and deny with a reason.

Source: Block Kit's reference of the blocks `section` and `actions` and of the elements `button` and `static_select`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.slack.texts import escaped, plain
from answerable.core.approval.chat_click import APPROVE, DENY, DENY_BECAUSE
from answerable.core.approval.message import unlinked
from answerable.core.approval.reasons import QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.approval.chat_click import Offer
    from answerable.core.approval.message import Message
    from answerable.core.canonical import JSONValue

BLOCK_CHARS_MAX: Final = 2_900
"""Characters of one text block, escaped: Slack accepts 3,000."""


def whole_blocks(message: Message, offer: Offer) -> list[JSONValue]:
    """Return sentence, badges and lines as blocks, none truncated, and none collapsed by Slack."""
    lines = [
        message.sentence,
        " · ".join(message.badges),
        *(f"{label}: {text}" for label, text in offer.lines),
    ]
    return [
        {"type": "section", "expand": True, "text": plain(text)}
        for text in _packed([unlinked(one) for one in lines if one])
    ]


def buttons_of(offer: Offer) -> JSONValue:
    """Return the buttons. Approve asks for confirmation, against accidental clicks; the reasons are those for one
    tap."""
    asks_again: JSONValue = {
        "title": plain("Say yes?"),
        "text": plain("It counts as your answer, in your name, and is recorded."),
        "confirm": plain("Approve"),
        "deny": plain("Back"),
    }
    return {
        "type": "actions",
        "block_id": "answerable",
        "elements": [
            {
                "type": "button",
                "action_id": APPROVE,
                "style": "primary",
                "text": plain("Approve"),
                "value": offer.nonce,
                "confirm": asks_again,
            },
            {
                "type": "button",
                "action_id": DENY,
                "style": "danger",
                "text": plain("Deny"),
                "value": offer.nonce,
            },
            {
                "type": "static_select",
                "action_id": DENY_BECAUSE,
                "placeholder": plain("Deny, because …"),
                "options": [
                    {"text": plain(one.label), "value": f"{offer.nonce}.{one.code}"} for one in QUICK
                ],
            },
        ],
    }


def _packed(lines: list[str]) -> Iterator[str]:
    """Pack as many lines into one text as a block accepts."""
    packed: list[str] = []
    for line in lines:
        if packed and len(escaped("\n".join((*packed, line)))) > BLOCK_CHARS_MAX:
            yield "\n".join(packed)
            packed = []
        packed.append(line)
    if packed:
        yield "\n".join(packed)
