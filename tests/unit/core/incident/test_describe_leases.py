"""What the timeline tells of credentials."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.incident.timeline import Moment, told
from answerable.core.ledger.tags import Tag

LEAF = {
    "v": 2, "tag": int(Tag.LEASE), "at": 0, "lease": "a" * 26, "target": "shop-db", "capability": "orders.read",
    "agent": "scout", "state": "issued", "account": "answerable_a",
}  # fmt: skip
LOST = {"capability": "", "agent": "", "account": ""}
UNKNOWN = "at shop-db, of which the broker knows the name alone, after the loss of its register, "


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, f"lease {'a' * 26} (account answerable_a) at shop-db, for orders.read by scout, is live."),
        ({"state": "named"}, "for orders.read by scout, is being issued."),
        ({"state": "ended", "end": "expired"}, "for orders.read by scout, ran out."),
        (LOST | {"state": "named"}, f"{UNKNOWN}is being ended."),
        (LOST | {"state": "ended", "end": "revoked"}, f"{UNKNOWN}was revoked."),
        (LOST | {"state": "unrevoked"}, f"{UNKNOWN}COULD NOT BE REVOKED and is tried again."),
    ],
)
@pytest.mark.requirement("LEASE-19")
def test_no_word_is_left_blank_where_a_register_is_lost(changes: dict[str, Any], text: str) -> None:
    line = told(Moment(index=7, tag=Tag.LEASE, leaf={**LEAF, **changes}, payload={}))
    assert line.text.endswith(text)
