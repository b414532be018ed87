"""Entries: small leaves that commit to what they leave out."""

from __future__ import annotations

from hashlib import sha256

import pytest

from answerable.core.canonical import parse
from answerable.core.identity.principal import UnixMillis
from answerable.core.ledger.entry import LEAF_BYTES_MAX, SALT_BYTES, opened_payload, sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken, Malformed, Unverified

pytestmark = pytest.mark.requirement("WALK-02")

AT = UnixMillis(1)
SALT = bytes(range(SALT_BYTES))


def test_a_leaf_commits_to_its_salted_payload_and_does_not_hold_it():
    entry = sealed_entry(Tag.REFUSAL, at=AT, fields={"agent": "scout"}, payload=b'{"secret":1}', salt=SALT)
    leaf = parse(entry.leaf)
    assert leaf == {
        "agent": "scout",
        "at": 1,
        "payload": sha256(SALT + b'{"secret":1}').hexdigest(),
        "tag": 5,
        "v": 1,
    }
    assert b"secret" not in entry.leaf
    assert opened_payload(entry.attachment, committed=str(leaf["payload"])) == b'{"secret":1}'


def test_a_changed_payload_or_salt_is_noticed():
    entry = sealed_entry(Tag.REFUSAL, at=AT, fields={}, payload=b"{}", salt=SALT)
    leaf = parse(entry.leaf)
    assert isinstance(leaf, dict)
    for at in range(len(entry.attachment)):
        changed = bytearray(entry.attachment)
        changed[at] ^= 1
        with pytest.raises(Unverified):
            opened_payload(bytes(changed), committed=str(leaf["payload"]))


def test_a_payload_without_fresh_salt_a_leaf_too_large_or_with_floats_is_not_made():
    with pytest.raises(Broken, match="salt"):
        sealed_entry(Tag.REFUSAL, at=AT, fields={}, payload=b"{}", salt=b"short")
    with pytest.raises(Broken, match="4096"):
        sealed_entry(Tag.REFUSAL, at=AT, fields={"x": "y" * LEAF_BYTES_MAX})
    with pytest.raises(Malformed):
        sealed_entry(Tag.REFUSAL, at=AT, fields={"x": 0.5})


def test_an_entry_without_payload_has_no_attachment():
    entry = sealed_entry(Tag.MANDATE_CLOSED, at=AT, fields={"mandate": "m-1"})
    assert entry.attachment == b""
    assert b"payload" not in entry.leaf


@pytest.mark.parametrize("name", ["v", "tag", "at", "payload"])
def test_a_field_cannot_take_the_place_of_what_every_leaf_says(name: str):
    with pytest.raises(Broken, match=f"cannot set {name}$") as refused:
        sealed_entry(Tag.REFUSAL, at=AT, fields={"agent": "scout", name: 5}, payload=b"{}", salt=SALT)
    assert refused.value.code == "ledger.reserved_member"
