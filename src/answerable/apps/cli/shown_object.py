"""The action of an approval as a server shows it: on one line, and checked against its object and card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from answerable.apps.cli.terminal import safe
from answerable.errors.codes.services import CLI_DIGEST

if TYPE_CHECKING:
    from answerable.api.approval_answers import Approval
    from answerable.core.canonical import FrozenJSON


def shown_whole(answer: Approval) -> tuple[FrozenJSON, FrozenJSON]:
    """Return the action object, which must match the action, and the card, which must be the one derived from that
    object.

    Raises Unverified (`cli.digest`).
    """
    from answerable.core.approval.action_object import object_in
    from answerable.core.approval.card import is_card_of
    from answerable.core.canonical import FrozenJSON

    action = json.loads(answer.action)
    shown = FrozenJSON.from_canonical(str(answer.object).encode())
    card = FrozenJSON.from_canonical(str(answer.card).encode())
    value = object_in(shown)
    said = {name: value[name] for name in ("arguments", "method", "server", "target")}
    if said != action or value["txn"] != answer.id or not is_card_of(card, shown):
        raise CLI_DIGEST(
            "the displayed action is not the action that the server would run: sign nothing, and notify its operator"
        )
    return shown, card


def sentence_of(approval: Approval) -> str:
    """Return the action's sentence: the first line of its card. Used in lists, where nothing is signed."""
    if approval.object == "{}":
        return call_of(approval)
    return safe(str(json.loads(approval.card)["sentence"]))


def call_of(approval: Approval) -> str:
    """Return the action's tool and server, on one line."""
    action = json.loads(approval.action)
    return safe(f"{action['target']} on {action['server']}")
