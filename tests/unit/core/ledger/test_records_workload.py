"""What entries about workloads say, that strangers can verify them, and that old leaves still are what they were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.canonical import INTEGER_MAX, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.workload.evidence import SELECTORS_MAX, CallerIdentity, Evidence
from answerable.core.ledger import records_workload
from answerable.core.ledger.disclosure import Sealing, opened_fields
from answerable.core.ledger.entry import LEAF_BYTES_MAX, Entry, sealed_entry
from answerable.core.ledger.leaves import evidence_leaf, identity_members
from answerable.core.ledger.subject_key import SubjectKey
from answerable.core.ledger.tags import OWED, Tag
from answerable.testing.contracts.instance_register import NOW, instance
from answerable.testing.entropy import SeededEntropy
from answerable.verify.leaf_rules import Fault, payload_fault, read_leaf
from answerable.verify.leaf_shapes import SHAPES, EndedLeaf

KEY = SubjectKey(id=b"k" * 16, secret=bytes(range(32)))
SEALING = Sealing(key=KEY, random=SeededEntropy("records").bytes)
ONE = replace(
    instance("i" * 32, agent="n" * 63),
    evidence=Evidence(
        source="oidc", grade="gateway", selectors=tuple(f"oidc:sub:{n:03d}" for n in range(SELECTORS_MAX))
    ),
    drift=(
        "model.version",
        "prompt.digest",
        "tools.digest",
        "framework.version",
        "code.digest",
        "image.digest",
    ),
)
ENTRIES: dict[Tag, Entry] = {
    Tag.MANIFEST_REGISTERED: sealed_entry(
        Tag.MANIFEST_REGISTERED,
        at=NOW,
        members={"agent": "n" * 63, "manifest": "a" * 64, "by": "b" * 64},
        fields=[(b"by_name", b'"alice"')],
        sealing=SEALING,
    ),
    Tag.WORKLOAD_ENROLLED: records_workload.workload_enrolled(ONE, at=NOW, sealing=SEALING),
    Tag.WORKLOAD_ENDED: records_workload.workload_ended(ONE, at=NOW, because="instance.retired"),
    Tag.SVID_ISSUED: records_workload.svid_issued(
        ONE.id, at=NOW, kind="x509", serial="f" * 40, expires=UnixMillis(INTEGER_MAX), key="a" * 64
    ),
    Tag.AUTHORITY_CHANGED: records_workload.authority_changed(
        trust_domain("d" * 255), "a" * 64, at=NOW, state="prepared", sequence=INTEGER_MAX
    ),
}


@pytest.mark.requirement("IDENT-06")
@pytest.mark.parametrize("tag", ENTRIES, ids=lambda tag: tag.name)
def test_each_kind_fits_and_can_be_verified(tag: Tag):
    entry = ENTRIES[tag]
    assert entry.tag == tag
    assert len(entry.leaf) <= LEAF_BYTES_MAX
    leaf = read_leaf(entry.leaf)
    assert isinstance(leaf, SHAPES[tag])
    assert payload_fault(leaf, entry.attachment) is None


@pytest.mark.requirement("IDENT-06")
@pytest.mark.parametrize("tag", ENTRIES, ids=lambda tag: tag.name)
def test_a_leaf_that_lacks_a_member_or_has_another_type_is_at_fault(tag: Tag):
    found = parse(ENTRIES[tag].leaf)
    assert isinstance(found, dict)
    own = found.keys() - {"v", "tag", "at", "_sd", "payload"}
    for name in own:
        members = {key: value for key, value in found.items() if key in own and key != name}
        for changed in (members, {**members, name: None}):
            if changed is members and name in ("manifest_grade", "manifest_fields"):
                # Entries from before these were told have none.
                continue
            without = sealed_entry(tag, at=NOW, members=changed)
            fault = read_leaf(without.leaf)
            assert isinstance(fault, Fault), name
            assert fault.rule == "leaf.member"


def test_what_was_measured_is_sealed_and_left_out_without_a_key():
    entry = ENTRIES[Tag.WORKLOAD_ENROLLED]
    found = {one.name: parse(bytes(one.value)) for one in opened_fields(entry.attachment, KEY)}
    assert found["selectors"] == [*ONE.evidence.selectors]
    assert found["running"] == {
        "agent_up": False,
        "enrolled_at": ONE.enrolled_at,
        "measured": [],
        "process": ONE.process,
        "public_key": ONE.key.jwk,
    }
    assert b"oidc:sub" not in entry.leaf
    assert records_workload.workload_enrolled(ONE, at=NOW).attachment == b""


def test_an_instance_without_key_parent_and_manifest_says_so_by_empty_members():
    bare = replace(ONE, key=None, manifest="", drift=())
    leaf = read_leaf(records_workload.workload_enrolled(bare, at=NOW).leaf)
    assert (leaf.key, leaf.parent, leaf.manifest, leaf.drift) == ("", "", "", [])


def test_an_end_names_the_operator_who_wanted_it_in_a_sealed_field():
    ended = replace(ONE, state="ended", ended_because="operator.ended", ended_by="uid:4711")
    entry = records_workload.workload_ended(
        ended, at=NOW, because="operator.ended", pseudonym="b" * 64, sealing=SEALING
    )
    leaf = read_leaf(entry.leaf)
    assert isinstance(leaf, EndedLeaf)
    assert leaf.by == "b" * 64
    assert payload_fault(leaf, entry.attachment) is None
    [field] = opened_fields(entry.attachment, KEY)
    assert (field.name, parse(bytes(field.value))) == ("by_name", "uid:4711")
    assert len(entry.leaf) <= LEAF_BYTES_MAX
    assert b'"by"' not in ENTRIES[Tag.WORKLOAD_ENDED].leaf


def test_an_end_is_owed():
    assert {Tag.WORKLOAD_ENDED, Tag.AUTHORITY_CHANGED} <= OWED


def test_a_caller_known_by_its_key_alone_adds_nothing_to_a_leaf_but_its_manifest():
    assert evidence_leaf(CallerIdentity()) is None
    assert identity_members(CallerIdentity()) == {}
    assert identity_members(CallerIdentity(manifest="a" * 64)) == {"manifest": "a" * 64}
    assert identity_members(CallerIdentity(source="unix", grade="kernel")) == {
        "evidence": {"grade": "kernel", "source": "unix"}
    }
