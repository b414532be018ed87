"""What a chat, or whoever has its secret, sends of a click, and what is kept of one, with samples to begin from."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode

from answerable.apps.chat_door.payload import FORM, click_of
from answerable.core.approval.chat_click import (
    APPROVE,
    CLICK_TYP,
    DENY_BECAUSE,
    click_in,
    is_click,
    object_takes_clicks,
)
from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode, parse

NONCE: Final = to_base64url(bytes(range(32)))


def payload(sent: bytes) -> None:
    """A form, as it comes to the door once its signature was checked."""
    click = click_of(sent, content_type=FORM, request="0" * 64, sent_s=1)
    assert click.verdict in ("approve", "deny")
    assert not (click.verdict == "approve" and click.reason)
    assert len(click.nonce) == 32


def kept(sent: bytes) -> None:
    """What an approval keeps."""
    try:
        text = sent.decode()
    except UnicodeDecodeError:
        return
    if is_click(text):
        found = click_in(text)
        assert found.typ == CLICK_TYP


def shown(sent: bytes) -> None:
    """An object that may say of itself that a click answers it."""
    value = parse(sent)
    if isinstance(value, dict) and object_takes_clicks(value):
        assert value["by_click"] is True


def samples() -> dict[str, tuple[bytes, ...]]:
    """Valid bytes for each of the parsers here."""
    said = {
        "type": "block_actions",
        "team": {"id": "T0123ABCD"},
        "user": {"id": "U0BOB", "team_id": "T0123ABCD"},
        "container": {"type": "message", "channel_id": "D0BOB", "message_ts": "17.1", "is_ephemeral": False},
    }
    yes = {"type": "button", "action_id": APPROVE, "value": NONCE}
    no = {
        "type": "static_select",
        "action_id": DENY_BECAUSE,
        "selected_option": {"value": f"{NONCE}.too_much"},
    }
    text = {
        "typ": CLICK_TYP, "v": 1, "iss": "bob", "aud": "x", "approval": "a-1", "action": "0" * 64,
        "rendering": "0" * 64, "verdict": "deny", "reason": "other", "channel": "slack", "team": "T0", "user": "U0",
        "nonce": "0" * 64, "request": "0" * 64, "sent_s": 1, "iat_ms": 1,
    }  # fmt: skip
    asked = {"by_click": True, "effects": {"tier": 1}, "requirements": [["approvers", 1]]}
    return {
        "payload": tuple(
            urlencode({"payload": json.dumps({**said, "actions": [one]})}).encode() for one in (yes, no)
        ),
        "kept": (encode({**text}),),
        "shown": (encode({**asked}),),
    }
