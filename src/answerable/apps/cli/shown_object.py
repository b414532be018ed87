"""Check that the action, object and card that a server shows match each other, before anybody signs them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from answerable.errors.codes.services import CLI_DIGEST

if TYPE_CHECKING:
    from answerable.apps.cli.control import Answer
    from answerable.core.canonical import FrozenJSON


def shown_whole(answer: Answer) -> tuple[FrozenJSON, FrozenJSON]:
    """Return the action object, which must match the action, and the card, which must be the one derived from that
    object.

    Raises Unverified (`cli.digest`).
    """
    from answerable.core.approval.action_object import object_in
    from answerable.core.approval.card import is_card_of
    from answerable.core.canonical import FrozenJSON

    action = json.loads(answer["action"])
    shown = FrozenJSON.from_canonical(str(answer["object"]).encode())
    card = FrozenJSON.from_canonical(str(answer["card"]).encode())
    value = object_in(shown)
    said = {name: value[name] for name in ("arguments", "method", "server", "target")}
    if said != action or value["txn"] != answer["id"] or not is_card_of(card, shown):
        raise CLI_DIGEST(
            "the displayed action is not the action that the server would run: sign nothing, and notify its operator"
        )
    return shown, card
