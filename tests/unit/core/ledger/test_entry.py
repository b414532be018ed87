"""Entries: small leaves that commit to what they leave out."""

from __future__ import annotations

from hashlib import sha256

import pytest

from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.disclosure import Sealing, opened_fields
from answerable.core.ledger.entry import (
    LEAF_BYTES_MAX,
    RESERVED_MEMBERS,
    entry_of,
    opened_payload,
    sealed_entry,
)
from answerable.core.ledger.runs import Run
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken, Malformed, Unverified
from answerable.testing.entropy import SeededEntropy

pytestmark = pytest.mark.requirement("WALK-02", "SEAL-01")

AT = UnixMillis(1)
KEY = SubjectKey(id=b"k" * 16, secret=bytes(range(32)))


def sealing() -> Sealing:
    return Sealing(key=KEY, random=SeededEntropy("entry").bytes)


def test_a_leaf_commits_to_its_sealed_fields_and_does_not_hold_them():
    entry = sealed_entry(
        Tag.REFUSAL,
        at=AT,
        members={"agent": "scout"},
        fields=((b"secret", b'"1"'), (b"more", b"[2]")),
        sealing=sealing(),
        run=Run(id="0" * 16, prev="", seq=0),
    )
    fields = opened_fields(entry.attachment, KEY)
    leaf = parse(entry.leaf)
    assert leaf == {
        "_sd": sorted(one.digest for one in fields),
        "agent": "scout",
        "at": 1,
        "payload": sha256(entry.attachment).hexdigest(),
        "run": {"id": "0" * 16, "prev": "", "seq": 0},
        "tag": 5,
        "v": 2,
    }
    assert entry.leaf == encode(leaf)
    assert [(one.name, bytes(one.value)) for one in fields] == [("secret", b'"1"'), ("more", b"[2]")]
    assert b"secret" not in entry.leaf + entry.attachment


def test_an_entry_without_fields_has_no_attachment_and_commits_to_none():
    entry = sealed_entry(Tag.MANDATE_CLOSED, at=AT, members={"mandate": "m-1"}, sealing=sealing())
    assert entry.attachment == b""
    assert parse(entry.leaf) == {"at": 1, "mandate": "m-1", "tag": 10, "v": 2}


def test_fields_without_a_key_a_leaf_too_large_or_with_floats_are_not_made():
    with pytest.raises(Broken) as unsealed:
        sealed_entry(Tag.REFUSAL, at=AT, members={}, fields=((b"a", b"1"),))
    assert unsealed.value.code == "ledger.unsealed"
    with pytest.raises(Broken, match="10240") as large:
        sealed_entry(Tag.REFUSAL, at=AT, members={"x": "y" * LEAF_BYTES_MAX})
    assert large.value.code == "ledger.leaf_too_large"
    with pytest.raises(Malformed):
        sealed_entry(Tag.REFUSAL, at=AT, members={"x": 0.5})
    assert len(entry_of(Tag.REFUSAL, bytes(LEAF_BYTES_MAX), b"").leaf) == LEAF_BYTES_MAX
    with pytest.raises(Broken):
        entry_of(Tag.REFUSAL, bytes(LEAF_BYTES_MAX + 1), b"")


@pytest.mark.parametrize("name", sorted(RESERVED_MEMBERS))
def test_a_member_cannot_take_the_place_of_what_every_leaf_says(name: str):
    assert set(RESERVED_MEMBERS) == {"v", "tag", "at", "payload", "run", "_sd"}
    with pytest.raises(Broken, match=f"cannot set {name}$") as refused:
        sealed_entry(Tag.REFUSAL, at=AT, members={"agent": "scout", name: 5})
    assert refused.value.code == "ledger.reserved_member"


def test_a_payload_of_the_first_version_is_read_and_a_changed_one_or_its_salt_is_noticed():
    attachment = bytes(range(16)) + b'{"secret":1}'
    committed = sha256(attachment).hexdigest()
    assert opened_payload(attachment, committed=committed) == b'{"secret":1}'
    for at in range(len(attachment)):
        changed = bytearray(attachment)
        changed[at] ^= 1
        with pytest.raises(Unverified) as told:
            opened_payload(bytes(changed), committed=committed)
        assert told.value.code == "ledger.payload_mismatch"


def test_a_field_cannot_have_the_name_of_a_member_of_its_leaf():
    key = SubjectKey(id=bytes(16), secret=bytes(32))
    with pytest.raises(Broken) as refused:
        sealed_entry(
            Tag.REFUSAL,
            at=AT,
            members={"agent": "scout"},
            fields=[(b"agent", b'"x"')],
            sealing=Sealing(key=key, random=bytes),
        )
    assert refused.value.code == "ledger.reserved_member"
