"""Heads of shards: made of what a shard signed, put together again, and never over a history that went back."""

from __future__ import annotations

import pytest

from answerable.core.canonical import parse
from answerable.core.ledger.entry import LEAF_BYTES_MAX, sealed_entry
from answerable.core.ledger.shards import (
    GAP_REASONS,
    SHARD_NAME_CHARS_MAX,
    Coverage,
    ShardGap,
    ShardHead,
    checked_shard_name,
    covered_shard,
    looked_at,
    members_of,
    shard_origin,
)
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.note import VerifierKey, signed_note
from answerable.errors import Malformed, Unverified
from answerable.testing.clock import START
from tests.worlds.shard import BASE, ShownLog, key_of


def head_of(log: ShownLog) -> ShardHead:
    assert log.note is not None
    return ShardHead.of_note(log.note, key=log.log_key)


def seen(log: ShownLog, before: ShardHead | None = None, origin: str | None = None) -> ShardHead | ShardGap:
    assert log.note is not None
    return looked_at(
        origin or log.origin, before=before, key=log.log_key, note=log.note, proof=log.consistency_proof
    )


@pytest.mark.parametrize("name", ["a", "0", "eu-west-1", "x" * SHARD_NAME_CHARS_MAX])
def test_a_shard_has_a_short_plain_name(name):
    assert checked_shard_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "heads", "batch-head", "A", "a/b", "..", ".", "a.", "-a", "a-", "a b", "a\n", "ä", "x" * 33, "a_b"],
)
def test_what_could_be_a_path_or_another_logs_name_is_no_name(name):
    with pytest.raises(Malformed) as told:
        checked_shard_name(name)
    assert told.value.code == "shard.name"


def test_a_head_gives_back_the_very_checkpoint_that_was_signed():
    log = ShownLog().grown(5)
    leaf = parse(head_of(log).entry(at=START).leaf)
    assert isinstance(leaf, dict)
    assert (leaf["tag"], leaf["origin"], leaf["size"]) == (Tag.SHARD_HEAD, log.origin, 5)
    again = ShardHead.of_leaf(leaf)
    assert again == head_of(log)
    assert again.note() == log.note


def test_a_head_fits_a_leaf_whatever_its_names():
    origin = "o" * 255
    key, signer = key_of(origin)
    text = Checkpoint(origin=origin, size=2**53 - 1, root=bytes(32)).text()
    note = signed_note(text, key=key, sign=signer.sign).encoded()
    entry = ShardHead.of_note(note, key=key).entry(at=START)
    assert len(entry.leaf) <= LEAF_BYTES_MAX // 2
    assert not entry.attachment


@pytest.mark.parametrize("name", ["key", "origin", "root", "signature", "size"])
@pytest.mark.parametrize("value", [None, "", 7, "zz", True])
def test_a_leaf_that_says_anything_else_is_no_head(name, value):
    leaf = parse(head_of(ShownLog().grown(5)).entry(at=START).leaf)
    assert isinstance(leaf, dict)
    with pytest.raises((Malformed, Unverified)):
        ShardHead.of_leaf({**leaf, name: value})
    with pytest.raises((Malformed, Unverified)):
        ShardHead.of_leaf({key: leaf[key] for key in leaf if key != name})


def test_a_head_of_another_size_does_not_carry_the_signature():
    leaf = parse(head_of(ShownLog().grown(5)).entry(at=START).leaf)
    assert isinstance(leaf, dict)
    with pytest.raises(Unverified):
        ShardHead.of_leaf({**leaf, "size": 6})


def test_a_checkpoint_with_extension_lines_makes_no_head():
    key, signer = key_of("o")
    text = Checkpoint(origin="o", size=1, root=bytes(32), extensions=("more",)).text()
    with pytest.raises(Malformed):
        ShardHead.of_note(signed_note(text, key=key, sign=signer.sign).encoded(), key=key)


def test_a_key_that_signs_no_log_makes_no_head():
    log = ShownLog().grown(1)
    witness = VerifierKey.ed25519_cosignature(log.origin, log.log_key.public)
    assert log.note is not None
    with pytest.raises(Malformed):
        ShardHead.of_note(log.note, key=witness)


# --- what a shard shows ---------------------------------------------------------------------------


def test_a_shard_that_grew_makes_the_next_head():
    log = ShownLog().grown(3)
    before = seen(log)
    assert isinstance(before, ShardHead)
    after = seen(log.grown(4), before)
    assert isinstance(after, ShardHead)
    assert (before.size, after.size) == (3, 7)
    assert seen(log, after) == after


def test_an_empty_shard_makes_a_head_that_everything_follows():
    log = ShownLog().signed()
    empty = seen(log)
    assert isinstance(empty, ShardHead)
    grown = seen(log.grown(2), empty)
    assert isinstance(grown, ShardHead)


def test_a_shard_that_was_rolled_back_makes_none():
    log = ShownLog().grown(5)
    before = head_of(log)
    assert seen(log.cut(3), before) == ShardGap(origin=log.origin, why="rolled_back", covered=5, size=3)


@pytest.mark.parametrize("more", [0, 1, 7])
def test_a_shard_that_was_forked_makes_none(more):
    log = ShownLog().grown(5)
    before = head_of(log)
    log.cut(3).grown(2 + more, mark="other ")
    assert seen(log, before) == ShardGap(origin=log.origin, why="forked", covered=5, size=5 + more)


def test_a_shard_with_another_key_makes_none():
    log = ShownLog().grown(5)
    before = head_of(log)
    other = ShownLog(salt="new").grown(9)
    assert seen(other, before) == ShardGap(origin=log.origin, why="other_key", covered=5, size=9)


def test_a_log_does_not_stand_for_a_shard_of_another_name():
    other = ShownLog("b").grown(9)
    found = seen(other, origin=shard_origin(BASE, "a"))
    assert found == ShardGap(origin="answerable.test/a", why="other_key", covered=0, size=9)


def test_a_checkpoint_that_nobody_signed_makes_none():
    log, other = ShownLog().grown(5), ShownLog(salt="new").grown(9)
    before = head_of(log)
    log.note = other.note
    assert seen(log, before) == ShardGap(origin=log.origin, why="unsigned", covered=5, size=0)


# --- what the log of logs says --------------------------------------------------------------------


def test_a_gap_is_read_as_it_was_written():
    for why in GAP_REASONS:
        gap = ShardGap(origin="o/a", why=why, covered=5, size=3)
        leaf = parse(gap.entry(at=START).leaf)
        assert isinstance(leaf, dict)
        assert ShardGap.of_leaf(leaf) == gap


def test_a_gap_about_something_else_is_passed_over():
    assert ShardGap.of_leaf({"tag": int(Tag.GAP), "count": 3}) is None
    coverage = Coverage()
    coverage.saw(sealed_entry(Tag.GAP, at=START, members={"count": 3}).leaf)
    coverage.saw(sealed_entry(Tag.GAP, at=START, members={"covered": 3}).leaf)
    coverage.saw(sealed_entry(Tag.GENESIS, at=START, members={"key": "k", "origin": "o"}).leaf)
    coverage.take_in()
    assert not coverage.heads
    assert not coverage.gaps


@pytest.mark.parametrize("changed", [{"covered": "5"}, {"size": None}, {"origin": 1}, {"why": 1}])
def test_a_gap_without_its_sizes_is_no_gap(changed):
    with pytest.raises(Malformed):
        ShardGap.of_leaf({"origin": "o", "why": "forked", "covered": 5, "size": 3, **changed})


def test_a_head_after_a_gap_ends_it():
    log = ShownLog().grown(5)
    head = head_of(log)
    gap = ShardGap(origin=head.origin, why="missing", covered=5, size=0)
    coverage = Coverage()
    for made in (head, gap):
        coverage.saw(made.entry(at=START).leaf)
    assert not coverage.heads
    coverage.take_in()
    assert coverage.gaps == {head.origin: gap}
    assert coverage.heads == {head.origin: head}
    coverage.saw(head.entry(at=START).leaf)
    coverage.take_in()
    assert not coverage.gaps
    coverage.saw(gap.entry(at=START).leaf)
    coverage.saw(head.entry(at=START).leaf)
    coverage.take_in()
    assert not coverage.gaps


@pytest.mark.parametrize("leaf", [b"", b"[]", b"7", b"{}", b'{"tag":"21"}', b"\xff"])
def test_what_is_no_leaf_is_not_passed_over(leaf):
    with pytest.raises(Malformed):
        Coverage().saw(leaf)


@pytest.mark.parametrize("leaf", [b"[]", b"7", b'{"a":1,"a":2}', b"\xff"])
def test_a_leaf_has_members(leaf):
    with pytest.raises(Malformed):
        members_of(leaf)
    assert covered_shard(leaf) is None


def test_only_a_head_says_which_shard_it_is_of():
    log = ShownLog().grown(1)
    assert covered_shard(head_of(log).entry(at=START).leaf) == log.origin
    gap = ShardGap(origin=log.origin, why="missing", covered=1, size=0)
    assert covered_shard(gap.entry(at=START).leaf) is None


def test_a_head_that_is_none_is_not_taken_in():
    coverage = Coverage()
    coverage.saw(sealed_entry(Tag.SHARD_HEAD, at=START, members={"origin": "o", "size": 3}).leaf)
    for _ in range(2):
        with pytest.raises(Malformed):
            coverage.take_in()
    assert not coverage.heads
