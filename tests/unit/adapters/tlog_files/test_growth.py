"""A growing tree writes the tiles that C2SP tlog-tiles names, and goes on from them as if it had never stopped."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from answerable.adapters.tlog_files.growth import Growth
from answerable.adapters.tlog_files.tiles import TileFiles, damaged
from answerable.core.tlog.merkle import leaf_hash, root_of
from answerable.core.tlog.tile import TILE_WIDTH, TileName, decode_bundle, tiles_of
from answerable.errors import Broken


class Shelf:
    """Stands in for the files: what was put there, and nothing cut to measure."""

    def __init__(self) -> None:
        self.tiles: dict[TileName, bytes] = {}

    def put(self, growth: Growth) -> None:
        self.tiles.update(growth.taken())
        self.tiles.update(growth.partials())

    def read(self, name: TileName) -> bytes:
        if name not in self.tiles:
            raise damaged(name, "it is missing")
        return self.tiles[name]

    def grown(self, size: int) -> Growth:
        return Growth.stored(cast("TileFiles", self), size)


def leaf(number: int) -> bytes:
    return b"leaf %d" % number


def grow(growth: Growth, count: int) -> None:
    for number in range(growth.size, growth.size + count):
        growth.append(leaf(number), leaf_hash(leaf(number)))


@given(steps=st.lists(st.integers(0, 300), min_size=1, max_size=5))
@example(steps=[255, 1, 1])
@example(steps=[256, 256])
@example(steps=[65_535, 1, 256])
def test_every_seal_leaves_the_tiles_of_its_size(steps: list[int]) -> None:
    shelf, size = Shelf(), 0
    hashes = [leaf_hash(leaf(number)) for number in range(sum(steps))]
    for count in steps:
        growth = shelf.grown(size)
        grow(growth, count)
        size += count
        shelf.put(growth)
        assert growth.root() == root_of(hashes[:size])
        expected = set(tiles_of(size)) if size else set()
        assert expected <= shelf.tiles.keys()
        assert set(growth.full) <= expected
        for name in expected:
            if name.level == 0:
                start = name.index * TILE_WIDTH
                assert shelf.tiles[name] == b"".join(hashes[start : start + name.width])
            elif name.level is None:
                start = name.index * TILE_WIDTH
                bundle = decode_bundle(shelf.tiles[name], count=name.width)
                assert bundle == [leaf(number) for number in range(start, start + name.width)]


def test_a_partial_tile_that_did_not_grow_is_not_written_again() -> None:
    shelf = Shelf()
    growth = Growth.empty()
    grow(growth, 300)
    shelf.put(growth)
    again = shelf.grown(300)
    assert again.partials() == []
    grow(again, 1)
    assert [name.level for name, _ in again.partials()] == [None, 0]


@pytest.mark.parametrize("level", [None, 0, 1])
def test_a_tree_does_not_go_on_from_a_tile_that_is_missing(level: int | None) -> None:
    shelf = Shelf()
    growth = Growth.empty()
    grow(growth, 300)
    shelf.put(growth)
    del shelf.tiles[next(name for name in tiles_of(300) if name.level == level and name.width < TILE_WIDTH)]
    with pytest.raises(Broken):
        shelf.grown(300)


@pytest.mark.parametrize("size", [1, 300, 700])
def test_a_changed_bit_of_the_right_edge_is_noticed(size: int) -> None:
    shelf = Shelf()
    growth = Growth.empty()
    grow(growth, size)
    shelf.put(growth)
    root = growth.root()
    for name in tiles_of(size):
        if name.width == TILE_WIDTH:
            continue
        before = shelf.tiles[name]
        for at in range(0, len(before), 7):
            shelf.tiles[name] = before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :]
            try:
                assert shelf.grown(size).root() != root
            except Broken:
                assert name.level in (None, 0)
        shelf.tiles[name] = before
    assert shelf.grown(size).root() == root
