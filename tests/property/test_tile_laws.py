"""Laws of tiles: names and bundles are read in one spelling, trees from tiles are the trees of their leaves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.core.tlog.merkle import (
    SIZE_MAX,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    reader_over,
    root_of,
    verify_inclusion,
)
from answerable.core.tlog.tile import (
    INDEX_MAX,
    LEVEL_MAX,
    TILE_WIDTH,
    TileName,
    decode_bundle,
    edge_from_tiles,
    encode_bundle,
    hash_reader,
    parse_tile_path,
    tiles_of,
    verified_hash_reader,
)
from answerable.errors import Malformed, Unverified
from tests.worlds.tlog import flipped

# The large sizes have two full levels of tiles and a third that begins.
LARGE = (65_535, 65_536, 65_537, 65_792, 66_000)
LEAVES = [leaf_hash(b"%d" % i) for i in range(LARGE[-1])]
AT = reader_over(LEAVES)
SIZES = st.one_of(st.integers(1, 600), st.sampled_from(LARGE))


@cache
def grown(size: int) -> CompactRange:
    """Grown leaf by leaf, as the readers from tiles are not."""
    tree = CompactRange()
    for leaf in LEAVES[:size]:
        tree.append(leaf)
    return tree


NAMES = st.builds(
    TileName,
    level=st.one_of(st.none(), st.integers(0, LEVEL_MAX)),
    index=st.one_of(st.integers(0, 2000), st.integers(0, INDEX_MAX)),
    width=st.integers(1, TILE_WIDTH),
)


def content(name: TileName) -> bytes:
    height, first = 8 * (name.level or 0), name.index * 256
    return b"".join(AT(height, first + at) for at in range(name.width))


def reading(size: int, asked: list[TileName], changed: dict[TileName, bytes]) -> Callable[[TileName], bytes]:
    """The tiles of a tree of this size, some of them changed."""
    there = {name for name in tiles_of(size) if name.level is not None}

    def read(name: TileName) -> bytes:
        assert name in there
        asked.append(name)
        return changed.get(name) or content(name)

    return read


@pytest.mark.requirement("TLOG-06")
@given(NAMES, NAMES)
def test_a_tile_has_one_path_and_no_two_tiles_share_one(one: TileName, other: TileName) -> None:
    assert parse_tile_path(one.path) == one
    assert (one.path == other.path) is (one == other)


PATH_PIECES = st.sampled_from(
    [
        "tile",
        "/",
        "0",
        "1",
        "63",
        "64",
        "entries",
        "data",
        "000",
        "001",
        "x001",
        "x000",
        "256",
        ".p/",
        "255",
        "x",
        "-",
        "٣",
    ]
)


@pytest.mark.requirement("TLOG-06")
@given(
    st.one_of(
        st.text(max_size=30), st.lists(PATH_PIECES, max_size=10).map("".join), NAMES.map(lambda n: n.path)
    ),
    st.data(),
)
def test_any_text_is_the_one_path_of_a_tile_or_of_none(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    for path in (text, text[:at] + data.draw(PATH_PIECES) + text[at:], text[:at] + text[at + 1 :]):
        name = parse_tile_path(path)
        assert name is None or name.path == path


@pytest.mark.requirement("TLOG-06")
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=TILE_WIDTH))
def test_a_bundle_is_read_back(entries: list[bytes]) -> None:
    encoded = encode_bundle(entries)
    assert decode_bundle(encoded, count=len(entries)) == entries
    for count in {len(entries) - 1, len(entries) + 1}:
        with pytest.raises(Malformed):
            decode_bundle(encoded, count=count)


@pytest.mark.requirement("TLOG-06")
@given(
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.sampled_from([b"\0", b"\1", b"\2", b"a"]), max_size=12).map(b"".join),
    ),
    st.integers(-1, 9),
)
def test_any_bytes_are_a_bundle_in_its_one_encoding_or_refused(encoded: bytes, count: int) -> None:
    try:
        entries = decode_bundle(encoded, count=count)
    except Malformed:
        return
    assert len(entries) == count
    assert encode_bundle(entries) == encoded


@pytest.mark.requirement("TLOG-06")
@given(st.one_of(st.integers(0, 70_000), st.integers(0, SIZE_MAX)), st.integers(0, 700))
def test_a_tree_that_grows_has_the_tiles_it_had_but_for_partial_ones(since: int, more: int) -> None:
    size = min(since + more, SIZE_MAX)
    new = list(tiles_of(size, since=since))
    assert len(set(new)) == len(new) <= 2 * (more // 256 + 2) + 16
    for name in new:
        at_this_level, before = size >> 8 * (name.level or 0), since >> 8 * (name.level or 0)
        end = name.index * 256 + name.width
        # Nothing beyond the tree, nothing that was there before, and no partial tile but at the right edge.
        assert before < end <= at_this_level
        assert name.width == 256 or end == at_this_level


@pytest.mark.requirement("TLOG-06")
@given(SIZES)
def test_the_right_edge_of_the_tiles_is_that_of_the_leaves(size: int) -> None:
    asked: list[TileName] = []
    edge = edge_from_tiles(size, reading(size, asked, {}))
    other = grown(size).copy()
    assert (edge.size, edge.hashes) == (other.size, other.hashes)
    assert all(name.width < TILE_WIDTH for name in asked)
    # It goes on growing as the other does.
    for leaf in LEAVES[:3]:
        edge.append(leaf)
        other.append(leaf)
    assert edge.root() == other.root()


@pytest.mark.requirement("TLOG-06")
@given(SIZES, st.data())
def test_every_subtree_read_from_tiles_is_that_of_the_leaves(size: int, data: st.DataObject) -> None:
    root = grown(size).root()
    trusted = hash_reader(size, reading(size, [], {}))
    verified = verified_hash_reader(size, root, reading(size, [], {}))
    for _ in range(8):
        level = data.draw(st.integers(0, size.bit_length() - 1))
        index = data.draw(st.integers(0, (size >> level) - 1))
        assert trusted(level, index) == verified(level, index) == AT(level, index)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    proof = inclusion_proof(index=index, size=size, hash_at=verified)
    verify_inclusion(leaf=LEAVES[index], index=index, size=size, proof=proof, root=root)
    growth = consistency_proof(old_size=old, new_size=size, hash_at=trusted)
    assert growth == consistency_proof(old_size=old, new_size=size, hash_at=AT)


@pytest.mark.requirement("TLOG-07")
@given(SIZES, st.data())
def test_no_byte_of_any_tile_can_be_changed_without_being_seen(size: int, data: st.DataObject) -> None:
    root = grown(size).root()
    tiles = [name for name in tiles_of(size) if name.level is not None]
    name = data.draw(st.sampled_from(tiles))
    bit = data.draw(st.integers(0, name.width * 256 - 1))
    changed = {name: flipped(content(name), bit)}
    asked: list[TileName] = []
    # The root over a whole tile comes from the one above.
    height = data.draw(st.integers(0, min(7, name.width.bit_length() - 1)))
    at = (
        8 * (name.level or 0) + height,
        (name.index * 256 >> height) + data.draw(st.integers(0, (name.width >> height) - 1)),
    )
    with pytest.raises(Unverified):
        verified_hash_reader(size, root, reading(size, asked, changed))(*at)
    assert name in asked
    # Whatever it does give of a tree with a changed tile is the truth.
    try:
        hash_at = verified_hash_reader(size, root, reading(size, [], changed))
        level = data.draw(st.integers(0, size.bit_length() - 1))
        index = data.draw(st.integers(0, (size >> level) - 1))
        got = hash_at(level, index)
    except Unverified:
        return
    assert got == AT(level, index)


@pytest.mark.requirement("TLOG-07")
@given(st.integers(1, 600), st.integers(1, 600), st.data())
def test_the_tiles_of_one_tree_do_not_pass_for_those_of_another(
    size: int, other: int, data: st.DataObject
) -> None:
    assume(size != other)
    rewritten = [*LEAVES[:size]]
    at = data.draw(st.integers(0, size - 1))
    rewritten[at] = LEAVES[-1]
    for root in (root_of(LEAVES[:other]), root_of(rewritten)):
        with pytest.raises(Unverified):
            verified_hash_reader(size, root, reading(size, [], {}))
