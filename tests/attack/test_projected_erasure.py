"""Documents are made again from the ledger when keys of people are gone: each is sealed for whose data it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest

from answerable.core.canonical import encode
from answerable.core.ledger.disclosure import Section, sealed_fields
from answerable.core.ledger.entry import StoredEntry, sealed_entry
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.projected import documents_digest_of
from answerable.core.ledger.subject import LOG_SUBJECT, operator_subject, principal_subject
from answerable.core.ledger.subject_key import KEY_ID_BYTES, joined_sections, sections_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken
from answerable.flows.recording.record_entry import record_entry, sealing_for
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import bench_documents
from answerable.testing.samples import document
from answerable.verify.leaf_rules import Fault, payload_fault, read_leaf
from tests.worlds.parts import to_apply
from tests.worlds.projection import Life, asked, life
from tests.worlds.projection import erased as without

__all__ = ["life"]
pytestmark = pytest.mark.anyio


def documents(life: Life) -> dict[str, bytes]:
    return dict(life.store.rows("SELECT key, body FROM documents"))


@pytest.mark.requirement("PROJECT-16")
async def test_each_document_of_a_person_is_sealed_for_that_person_and_the_rest_for_the_log(life: Life):
    await life.bench.registered()
    await apply_registry(*to_apply(life.bench.walk), [document("Principal", "erin", {})], by="operator")
    keys = life.bench.recorder.subject_keys
    for stored in life.bench.recorder.ledger.replay():
        if stored.tag != Tag.REGISTRY_CHANGE:
            continue
        leaf = leaf_of(stored)
        whole = payload_of(stored, leaf, keys.find) or {}
        people = [key.removeprefix("Principal/") for key in whole["changes"] if key.startswith("Principal/")]
        subjects = [LOG_SUBJECT, operator_subject("operator"), *map(principal_subject, sorted(people))]
        sections = sections_of(stored.attachment)
        assert [one[1 : 1 + KEY_ID_BYTES] for one in sections] == [keys.of(one).id for one in subjects]
        read = read_leaf(stored.leaf)
        assert not isinstance(read, Fault)
        assert payload_fault(read, stored.attachment) is None
        of_nobody = without(life, principal_subject("erin"), *map(principal_subject, people))
        left = payload_of(stored, leaf, of_nobody) or {}
        assert left["changes"].keys() == {one for one in whole["changes"] if not one.startswith("Principal/")}
        assert left["by"] == "operator"


@pytest.mark.requirement("PROJECT-16")
async def test_whoever_applied_them_is_erased_and_the_documents_are_made_again(life: Life):
    await life.bench.registered()
    await life.bench.issue()
    live = documents(life)
    gone = without(life, operator_subject("operator"))
    store, done = life.caught_up(None, gone)
    with closing(store):
        assert done.left_out == []
        assert dict(store.rows("SELECT key, body FROM documents")) == live
        assert store.rows("SELECT id FROM mandates") == [("m-1",)]


@pytest.mark.requirement("PROJECT-17")
async def test_a_person_whose_own_key_is_gone_is_absent_and_named_and_nobody_else_is_touched(life: Life):
    await life.bench.registered()
    await life.bench.issue()
    await asked(life.bench, 6_000)
    life.copied("everything")
    await apply_registry(
        *to_apply(life.bench.walk), [document("Principal", "bob", {"displayName": "Bob"})], by="operator"
    )
    live = documents(life)
    key = life.bench.recorder.subject_keys.of(principal_subject("bob")).id.hex()
    gone = without(life, principal_subject("bob"))
    for copy in (None, life.copies["everything"]):
        store, done = life.caught_up(copy, gone)
        with closing(store):
            made = dict(store.rows("SELECT key, body FROM documents"))
            assert made == {one: text for one, text in live.items() if one != "Principal/bob"}
            assert {(one.register, one.row) for one in done.left_out} == {
                ("documents", f"of the person of key {key}")
            }
            assert done.mended == [], "nobody's hands did that"
    again, done = life.caught_up(life.root / "nothing.db", gone)
    with closing(again):
        assert len(done.left_out) == 1, "until documents are applied again each start says it"


@pytest.mark.requirement("PROJECT-17")
async def test_what_a_person_gave_whose_key_is_gone_is_closed_where_registers_have_it_and_absent_elsewhere(
    life: Life,
):
    await life.bench.registered()
    await life.bench.issue()
    with closing(sqlite3.connect(life.root / "live.db")) as other:
        other.execute("UPDATE mandates SET state = state")
        other.commit()
    life.copied("touched")
    gone = without(life, principal_subject("alice"))
    store, done = life.caught_up(life.copies["touched"], gone)
    with closing(store):
        assert store.rows("SELECT id, state FROM mandates") == [("m-1", "closed")]
        assert ("mandates", "m-1") in {(one.register, one.row) for one in done.left_out}
    store, done = life.caught_up(None, gone)
    with closing(store):
        assert store.rows("SELECT id FROM mandates") == []
        assert ("mandates", "m-1") in {(one.register, one.row) for one in done.left_out}


@pytest.mark.requirement("PROJECT-18")
async def test_documents_that_are_not_those_of_their_last_change_and_cannot_be_made_again_let_nothing_start(
    life: Life,
):
    await life.bench.registered()
    with closing(sqlite3.connect(life.root / "live.db")) as other:
        other.execute("DELETE FROM documents WHERE key LIKE 'PolicySet/%'")
        other.commit()
    life.copied("edited")
    gone = without(life, LOG_SUBJECT)
    for copy in (life.copies["edited"], None):
        with pytest.raises(
            Broken, match=r"restore a copy of `answerable.db` with unedited documents"
        ) as found:
            life.caught_up(copy, gone)
        assert found.value.code == "register.documents"
    store, done = life.caught_up(life.copies["edited"])
    with closing(store):
        assert [one.row for one in done.mended] == ["PolicySet/house"]


@pytest.mark.requirement("PROJECT-16", "PROJECT-18")
async def test_changes_from_before_that_are_all_for_whoever_applied_them_are_read_as_ever(life: Life):
    await life.bench.registered()
    before = documents(life)
    zoe = document("Principal", "zoe", {})
    after = documents_digest_of({**before, "Principal/zoe": encode(zoe)})
    walk = life.bench.walk
    entry = sealed_entry(
        Tag.REGISTRY_CHANGE,
        at=walk.clock.now(),
        members={"after": after, "before": documents_digest_of(before), "by": "0" * 64},
        fields=[(b"by_name", b'"operator"'), (b"changes", encode({"Principal/zoe": zoe}))],
        sealing=sealing_for(walk.recorder, operator_subject("operator")),
    )
    await record_entry(walk.recorder, entry)
    store, done = life.caught_up(None)
    with closing(store):
        assert done.left_out == []
        assert dict(store.rows("SELECT key, body FROM documents")) == before | {"Principal/zoe": encode(zoe)}
    (life.root / "nothing.db").unlink()
    with pytest.raises(Broken) as found:
        life.caught_up(None, without(life, operator_subject("operator")))
    assert found.value.code == "register.documents"


@pytest.mark.requirement("PROJECT-16")
async def test_a_document_that_nothing_in_the_entry_commits_to_is_none_of_its(life: Life):
    await life.bench.registered()
    walk = life.bench.walk
    stored = next(one for one in walk.recorder.ledger.replay() if one.tag == Tag.REGISTRY_CHANGE)
    slipped = Section(
        [(b"changes", b'{"PolicySet/house":null}')], sealing_for(walk.recorder, principal_subject("bob"))
    )
    sections = (*sections_of(stored.attachment), sealed_fields(*slipped)[1])
    attachment = joined_sections(sections)
    leaf = {**leaf_of(stored), "payload": sha256(attachment).hexdigest()}
    other = StoredEntry(
        index=stored.index,
        tag=stored.tag,
        leaf=encode(leaf),
        attachment=attachment,
        leaf_hash=stored.leaf_hash,
    )
    assert payload_of(other, leaf, walk.recorder.subject_keys.find) is None


@pytest.mark.requirement("PROJECT-27")
async def test_somebody_written_by_hand_is_not_taken_for_one_who_was_erased(life: Life):
    await life.bench.registered([*bench_documents(), document("Principal", "zoe", {})])
    life.copied("with zoe")
    await apply_registry(*to_apply(life.bench.walk), bench_documents(), by="operator", prune=True)
    gone = without(life, principal_subject("zoe"))
    shutil.copy(life.copies["with zoe"], life.root / "more.db")
    store, done = life.caught_up(life.copies["with zoe"], gone)
    with closing(store):
        assert store.rows("SELECT key FROM documents WHERE key = 'Principal/zoe'") == []
    assert len(done.left_out) == 1
    with closing(sqlite3.connect(life.root / "more.db")) as other:
        other.execute(
            "INSERT INTO documents SELECT 'Principal/mallory', CAST(replace(body, 'zoe', 'mallory') AS BLOB) "
            "FROM documents WHERE key = 'Principal/zoe'"
        )
        other.commit()
    with pytest.raises(Broken, match="Principal/mallory") as found:
        life.caught_up(life.root / "more.db", gone)
    assert found.value.code == "register.beyond_ledger"
