"""What a canary is told by when it is asked."""

from __future__ import annotations

import hashlib

import pytest

from answerable.core.approval.attention_check import commitment, opens

NONCE = bytes(range(32))


@pytest.mark.requirement("OVERSIGHT-06")
def test_the_commitment_is_made_as_the_page_on_the_wire_says() -> None:
    said = b"answerable-canary/1\0" + NONCE + b"a-1\0amount\0sum"
    found = commitment("a-1", NONCE, "amount", "sum")
    assert found == hashlib.sha256(said).hexdigest()
    assert opens(found, "a-1", NONCE, "amount", "sum")
    for other in (("a-2", NONCE, "amount"), ("a-1", bytes(32), "amount"), ("a-1", NONCE, "recipient")):
        assert not opens(found, *other, "sum")
