"""A stored entry as people read it: fields that its leaf commits to, or none."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.disclosure import Sealing
from answerable.core.ledger.entry import StoredEntry, sealed_entry
from answerable.core.ledger.opened import disclosures_of, leaf_of, payload_of
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors import Broken, Malformed, Unverified
from answerable.testing.entropy import SeededEntropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue

pytestmark = pytest.mark.requirement("SEAL-02")

KEY = SubjectKey(id=b"k" * 16, secret=bytes(range(32)))
OTHER = SubjectKey(id=b"o" * 16, secret=bytes(32))
ACTION = encode({"target": "get_case", "arguments": {"case": "4711"}})


def find(key_id: bytes) -> SubjectKey | None:
    return KEY if key_id == KEY.id else None


def stored(fields: Sequence[tuple[bytes, bytes]] = ((b"detail", b'"why"'),)) -> StoredEntry:
    sealing = Sealing(key=KEY, random=SeededEntropy("opened").bytes)
    entry = sealed_entry(
        Tag.OUTCOME, at=UnixMillis(1), members={"action": "a"}, fields=fields, sealing=sealing
    )
    return StoredEntry(
        index=7,
        tag=int(entry.tag),
        leaf=entry.leaf,
        attachment=entry.attachment,
        leaf_hash=leaf_hash(entry.leaf),
    )


def told(entry: StoredEntry) -> dict[str, JSONValue] | None:
    return payload_of(entry, leaf_of(entry), find)


def test_fields_are_told_by_name_and_an_action_with_the_digest_that_its_leaf_does_not_say():
    assert told(stored()) == {"detail": "why"}
    fields = told(stored([(b"request", ACTION), (b"reason", b'"x"')]))
    assert fields is not None
    assert fields["digest"] == sha256(ACTION).hexdigest()
    assert fields["reason"] == "x"


def test_an_entry_without_fields_has_none_to_tell():
    entry = stored(())
    assert disclosures_of(entry, find) == ()
    assert told(entry) is None


def test_without_the_key_fields_are_withheld():
    entry = stored()
    assert disclosures_of(entry, lambda _: None) is None
    assert payload_of(entry, leaf_of(entry), lambda _: None) is None


def test_an_attachment_that_the_leaf_does_not_commit_to_is_not_told_though_it_opens():
    entry, other = stored(), stored([(b"detail", b'"another story"')])
    assert told(other) == {"detail": "another story"}
    swapped = structs.replace(entry, attachment=other.attachment)
    assert disclosures_of(swapped, find) is None
    assert told(swapped) is None
    for leaf in (
        # The attachment is committed to, but not what is in it.
        {"_sd": ["0" * 43], "payload": sha256(entry.attachment).hexdigest(), "v": 2},
        {"_sd": [], "payload": sha256(entry.attachment).hexdigest(), "v": 2},
        {"payload": sha256(entry.attachment).hexdigest(), "v": 2},
        {"_sd": leaf_of(entry)["_sd"], "payload": [], "v": 2},
        {"_sd": leaf_of(entry)["_sd"], "v": 2},
    ):
        changed = structs.replace(entry, leaf=encode(leaf))
        assert disclosures_of(changed, find) is None
        assert told(changed) is None


def test_an_envelope_that_was_changed_is_told_apart_from_one_without_a_key():
    entry = stored()
    for attachment, kind in (
        (b"\x01" + entry.attachment[1:], Malformed),
        (entry.attachment[:-1] + b"x", Unverified),
    ):
        leaf = {**leaf_of(entry), "payload": sha256(attachment).hexdigest()}
        changed = structs.replace(entry, leaf=encode(leaf), attachment=attachment)
        with pytest.raises(kind):
            disclosures_of(changed, find)
        assert told(changed) is None


def test_a_key_store_that_gives_another_subjects_key_opens_nothing():
    with pytest.raises(Unverified):
        disclosures_of(stored(), lambda _: OTHER)


def test_what_nobody_can_read_is_withheld_and_what_our_own_form_refuses_is_told():
    deep = b"[" * 50_000 + b"]" * 50_000
    assert told(stored([(b"detail", b'"why"'), (b"result", deep)])) is None
    assert told(stored([(b"result", b'{"huge":%b,"nan":null}' % (b"1" * 400))])) == {
        "result": {"huge": int("1" * 400), "nan": None}
    }


def test_a_leaf_that_is_no_object_is_an_invariant_that_fell():
    with pytest.raises(Broken) as broken:
        leaf_of(structs.replace(stored(), leaf=b"[]"))
    assert broken.value.code == "ledger.leaf_malformed"


def test_entries_of_the_first_version_are_told_with_their_payload_if_it_is_theirs():
    attachment = bytes(16) + b'{"detail":"as then"}'
    leaf = encode({"payload": sha256(attachment).hexdigest(), "v": 1})
    entry = structs.replace(stored(), leaf=leaf, attachment=attachment)
    assert told(entry) == {"detail": "as then"}
    assert told(structs.replace(entry, attachment=attachment + b" ")) is None
    assert told(structs.replace(entry, attachment=b"")) is None
    listed = bytes(16) + b"[1]"
    leaf = encode({"payload": sha256(listed).hexdigest(), "v": 1})
    assert told(structs.replace(entry, leaf=leaf, attachment=listed)) is None
