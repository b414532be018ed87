"""What was seen and is not registered, in memory and in SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.memory.sightings import MemorySightings
from answerable.adapters.sqlite import SqliteSightings, SqliteStore
from answerable.core.identity.principal import UnixMillis
from answerable.core.registry import sighting
from answerable.core.registry.sighting import Sighting, SightingBatch
from answerable.ports.sightings import Sightings

pytestmark = pytest.mark.requirement("IDENT-09")


def register(kind: str, tmp_path: Path) -> Sightings:
    if kind == "memory":
        return MemorySightings()
    return SqliteSightings(SqliteStore.open(tmp_path / "registers.db"))


def seen(name: str, at: int, count: int = 1) -> Sighting:
    return Sighting(kind="tool", name=name, first=UnixMillis(at), last=UnixMillis(at), count=count)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_sightings_of_one_thing_are_merged_and_the_latest_stand_first(kind: str, tmp_path: Path) -> None:
    found = register(kind, tmp_path)
    found.keep([seen("a", 10, 2), seen("b", 20)])
    found.keep([seen("a", 5), seen("a", 30)])
    found.keep([])
    first, second = found.all()
    assert (first.name, first.first, first.last, first.count) == ("a", 5, 30, 4)
    assert second == seen("b", 20)
    assert found.forget("tool", "a")
    assert not found.forget("server", "b")
    assert [one.name for one in found.all()] == ["b"]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_past_the_bound_those_go_that_were_seen_longest_ago(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("answerable.adapters.memory.sightings", "answerable.adapters.sqlite.sightings"):
        monkeypatch.setattr(f"{module}.SIGHTINGS_MAX", 3)
    found = register(kind, tmp_path)
    found.keep([seen(f"n{number}", 10 + number) for number in range(3)])
    found.keep([seen("n0", 50), seen("new", 40)])
    assert [one.name for one in found.all()] == ["n0", "new", "n2"]


def test_sqlite_keeps_them_over_a_restart(tmp_path: Path) -> None:
    register("sqlite", tmp_path).keep([seen("a", 1)])
    assert list(register("sqlite", tmp_path).all()) == [seen("a", 1)]


def test_a_batch_counts_bounds_and_gives_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sighting, "BATCH_MAX", 2)
    batch = SightingBatch()
    for at, name in enumerate(("a", "b", "a", "c")):
        batch.note("tool", name, UnixMillis(at))
    taken = batch.take()
    assert [(one.name, one.first, one.last, one.count) for one in taken] == [("a", 0, 2, 2), ("c", 3, 3, 1)]
    assert batch.take() == ()
    batch.note("tool", "a", UnixMillis(9))
    batch.put_back(taken)
    assert {one.name: one.count for one in batch.take()} == {"a": 3, "c": 1}


def test_a_name_that_a_stranger_chose_is_cut_and_printable() -> None:
    batch = SightingBatch()
    batch.note("server", "a\x1b[2J\n" + "x" * 10_000, UnixMillis(1))
    [one] = batch.take()
    assert len(one.name) == sighting.NAME_CHARS_MAX
    assert one.name.startswith("a?[2J?x")
