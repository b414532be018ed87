"""Attacks on the names and bytes of tiles and bundles."""

from __future__ import annotations

from functools import partial

import pytest

from answerable.core.tlog.merkle import SIZE_MAX, leaf_hash
from answerable.core.tlog.tile import (
    ENTRY_BYTES_MAX,
    INDEX_MAX,
    TileName,
    decode_bundle,
    encode_bundle,
    entries_path,
    parse_tile_path,
    tile_hashes,
    tile_path,
    tiles_of,
)
from tests.worlds.tlog import malformed_code

LEAVES = [leaf_hash(b"%d" % i) for i in range(3)]


# ---- names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tile/0/000", TileName(level=0, index=0)),
        ("tile/0/x001/x234/067", TileName(level=0, index=1_234_067)),
        ("tile/63/001.p/255", TileName(level=63, index=1, width=255)),
        ("tile/10/x001/000.p/1", TileName(level=10, index=1000, width=1)),
        ("tile/entries/999", TileName(level=None, index=999)),
        ("tile/entries/x123/456.p/99", TileName(level=None, index=123_456, width=99)),
        ("tile/7/x072/x057/x594/x037/x927/935", TileName(level=7, index=INDEX_MAX)),
    ],
)
def test_a_name_is_the_path_of_the_specification_and_back(path: str, name: TileName) -> None:
    assert name.path == path
    assert parse_tile_path(path) == name
    if name.level is None:
        assert entries_path(name.index, name.width) == path
    else:
        assert tile_path(name.level, name.index, name.width) == path


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x000/067", "tile/0/001/067",
        "tile/0/x001", "tile/0/x1/000", "tile/00/000", "tile/64/000", "tile/-1/000", "tile/+1/000", "tile/ 1/000",
        "tile/100/000", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/256",
        "tile/0/000.p/999", "tile/0/000.p/1000", "tile/0/000p/1", "tile/0/000.p/1/", "tile/0/000/.p/1", "/tile/0/000",
        "tile/0/000\n", "tile/0/../000", "tile/data/000", "tile/names/000", "Tile/0/000", "tile/0/٠٠٠",
        "tile/٣/000", "tile/0/X001/000", "tile/7/x072/x057/x594/x037/x927/936",
        "tile/0/" + "x001/" * 6 + "000", "tile/0/" + "x001/" * 10_000 + "000", "tile/entries/0/000",
    ],
)  # fmt: skip
def test_any_other_spelling_is_the_path_of_no_tile(path: str) -> None:
    assert parse_tile_path(path) is None


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, INDEX_MAX + 1, 1), (0, 0, 0), (0, 0, 257), (0, 0, -1)],
)
def test_numbers_that_no_tile_has_name_none(level: int, index: int, width: int) -> None:
    assert malformed_code(lambda: tile_path(level, index, width)) == "tile.name"
    if level == 0:
        assert malformed_code(lambda: entries_path(index, width)) == "tile.name"


def test_the_examples_of_the_specification_have_the_tiles_it_counts() -> None:
    names = list(tiles_of(70_000))
    by_level = {level: [name for name in names if name.level == level] for level in (None, 0, 1, 2, 3)}
    assert [len(found) for found in by_level.values()] == [274, 274, 2, 1, 0]
    assert [found[-1].width for found in by_level.values() if found] == [112, 112, 17, 1]
    assert all(name.width == 256 for found in by_level.values() for name in found[:-1])
    assert [name.path for name in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == []


def test_a_growing_tree_has_new_tiles_and_none_of_the_old_is_new() -> None:
    for since, size in ((0, 1), (1, 2), (255, 256), (256, 256), (256, 257), (100, 600), (65_500, 65_536)):
        assert list(tiles_of(size, since=since)) == [
            name for name in tiles_of(size) if name not in set(tiles_of(since))
        ]


def test_the_largest_tree_has_eight_levels_and_its_tiles_are_not_all_made_to_say_so() -> None:
    newest = list(tiles_of(SIZE_MAX, since=SIZE_MAX - 1))
    assert [(name.level, name.width) for name in newest] == [(None, 255), (0, 255)]
    assert next(tiles_of(SIZE_MAX)) == TileName(level=None, index=0)
    grown = list(tiles_of(2**56, since=2**56 - 1))
    assert [name.width for name in grown] == [256] * 8 + [1]
    for size, since in ((SIZE_MAX + 1, 0), (-1, 0), (1, 2), (1, -1)):
        assert malformed_code(partial(tiles_of, size, since=since)) == "tlog.size_range"


# ---- bundles


def test_a_bundle_is_each_entry_after_its_length() -> None:
    entries = [b"one", b"", b"x" * ENTRY_BYTES_MAX]
    content = encode_bundle(entries)
    assert content == b"\x00\x03one\x00\x00\xff\xff" + b"x" * ENTRY_BYTES_MAX
    assert decode_bundle(content, count=3) == entries
    full = [b"%d" % at for at in range(256)]
    assert decode_bundle(encode_bundle(full), count=256) == full


def test_what_no_bundle_can_hold_is_refused() -> None:
    assert malformed_code(lambda: encode_bundle([b"x" * (ENTRY_BYTES_MAX + 1)])) == "tile.entry_size"
    assert malformed_code(lambda: encode_bundle([])) == "tile.bundle"
    assert malformed_code(lambda: encode_bundle([b""] * 257)) == "tile.bundle"


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"", 0),
        (b"", 1),
        (b"\x00", 1),
        (b"\x00\x01", 1),
        (b"\x00\x02a", 1),
        (b"\x00\x01a", 2),
        (b"\x00\x01a\x00", 2),
        (b"\x00\x01a\x00", 1),
        (b"\x00\x01a\x00\x00", 1),
        (b"\x00\x00" * 257, 257),
        (b"\x00\x00", -1),
    ],
)
def test_a_bundle_of_another_count_or_length_is_refused(content: bytes, count: int) -> None:
    assert malformed_code(lambda: decode_bundle(content, count=count)) == "tile.bundle"


def test_a_tile_holds_exactly_as_many_hashes_as_its_name_says() -> None:
    assert tile_hashes(LEAVES[0] + LEAVES[1], width=2) == LEAVES[:2]
    for content in (b"", LEAVES[0], LEAVES[0] + LEAVES[1][:-1], b"".join(LEAVES[:3])):
        assert malformed_code(partial(tile_hashes, content, width=2)) == "tile.length"
