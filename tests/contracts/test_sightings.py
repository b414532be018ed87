"""What was seen and is not registered, in SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteSightings, SqliteStore
from answerable.adapters.sqlite.migrations import MIGRATIONS
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.registry.snapshot.discovered_asset import (
    BATCH_MAX,
    BATCH_SOURCE_MAX,
    NAME_CHARS_MAX,
    OTHERS,
    SIGHTINGS_MAX,
    SOURCE_MAX,
    DiscoveredAssets,
    Sighting,
)
from answerable.ports.sightings import Sightings

pytestmark = pytest.mark.requirement("IDENT-09")


def register(tmp_path: Path) -> Sightings:
    return SqliteSightings(SqliteStore.open(tmp_path / "registers.db"))


def seen(name: str, at: int, count: int = 1, *, source: str = "agent a", how: str = "asked for") -> Sighting:
    return Sighting(
        kind="tool",
        name=name,
        first=UnixMillis(at),
        last=UnixMillis(at),
        count=count,
        source=source,
        grade="gateway",
        how=how,
    )


def noted(batch: DiscoveredAssets, name: str, at: int, source: str = "agent a") -> None:
    batch.note("tool", name, UnixMillis(at), source=source, grade="gateway")


def test_sightings_of_one_thing_by_one_source_are_merged_and_the_latest_stand_first(tmp_path: Path) -> None:
    found = register(tmp_path)
    found.keep([seen("a", 10, 2), seen("b", 20)])
    found.keep([seen("a", 5, how="earlier"), seen("a", 30, how="later")])
    found.keep([seen("a", 15, source="agent b")])
    found.keep([])
    first, second, third = found.all()
    assert (first.name, first.first, first.last, first.count, first.how) == ("a", 5, 30, 4, "later")
    assert (second, third) == (seen("b", 20), seen("a", 15, source="agent b"))
    # What is registered goes, whoever saw it; what a source tells anew replaces what it told.
    found.keep([seen("c", 40)], gone=[("tool", "a"), ("server", "b")])
    assert [one.name for one in found.all()] == ["c", "b"]
    found.forget_source("agent a")
    assert list(found.all()) == []


@pytest.mark.requirement("LIFE-07")
def test_whatever_one_source_makes_up_what_others_saw_stays_and_the_rest_is_counted(tmp_path: Path) -> None:
    found = register(tmp_path)
    found.keep([seen("crm/refund_all", 1, source="server crm")])
    for start in range(0, 4 * SOURCE_MAX, SOURCE_MAX):
        found.keep(seen(f"n{number}", 10 + number) for number in range(start, start + SOURCE_MAX))
    kept = {one.name: one for one in found.all() if one.source == "agent a"}
    assert kept.pop(OTHERS).count == 3 * SOURCE_MAX
    assert len(kept) == SOURCE_MAX
    assert f"n{4 * SOURCE_MAX - 1}" in kept
    assert [one.name for one in found.all() if one.source == "server crm"] == ["crm/refund_all"]


@pytest.mark.requirement("LIFE-07")
def test_where_all_room_is_taken_those_give_up_some_that_have_most(tmp_path: Path) -> None:
    found = register(tmp_path)
    found.keep([seen("real", 1, source="user 7")])
    greedy = SIGHTINGS_MAX // SOURCE_MAX + 2
    for source in range(greedy):
        found.keep(seen(f"n{number}", 10 + number, source=f"agent {source}") for number in range(SOURCE_MAX))
    everything = list(found.all())
    assert len(everything) == SIGHTINGS_MAX
    assert [one.name for one in everything if one.source == "user 7"] == ["real"]
    assert {one.source for one in everything} == {"user 7", *(f"agent {n}" for n in range(greedy))}


def test_sqlite_keeps_them_over_a_restart_and_takes_over_what_an_earlier_version_kept(tmp_path: Path) -> None:
    register(tmp_path).keep([seen("a", 1)])
    assert list(register(tmp_path).all()) == [seen("a", 1)]
    [before] = [
        number for number, one in enumerate(MIGRATIONS) if any("DROP TABLE sightings" in text for text in one)
    ]
    old = SqliteStore.open(tmp_path / "old.db", migrations=MIGRATIONS[:before])
    with old.write() as connection:
        connection.execute("INSERT INTO sightings VALUES ('server', 'mail', 1, 2, 3)")
    old.close()
    [one] = SqliteSightings(SqliteStore.open(tmp_path / "old.db")).all()
    assert (one.kind, one.name, one.count, one.source, one.grade) == (
        "server",
        "mail",
        3,
        "earlier",
        "claimed",
    )


@pytest.mark.requirement("LIFE-07")
def test_a_batch_counts_bounds_and_gives_everything_once() -> None:
    batch = DiscoveredAssets()
    noted(batch, "real", 0, "server crm")
    for number in range(100_000):
        noted(batch, f"n{number}", number)
    noted(batch, "n0", 100_000)
    for source in range(2 * BATCH_MAX):
        noted(batch, "n", 1, f"agent {source}")
    taken = {(one.source, one.name): one for one in batch.take()}
    assert len(taken) <= 2 * BATCH_MAX
    assert taken["server crm", "real"].count == 1
    assert taken["agent a", OTHERS].count == 100_000 - BATCH_SOURCE_MAX
    assert (taken["agent a", "n0"].count, taken["agent a", "n0"].last) == (2, 100_000)
    assert batch.take() == ()
    noted(batch, "n0", 9)
    batch.put_back(taken.values())
    again = {(one.source, one.name): one for one in batch.take()}
    assert again["agent a", "n0"].count == 3
    assert again["agent a", OTHERS].count == 100_000 - BATCH_SOURCE_MAX


def test_a_name_that_a_stranger_chose_is_cut_printable_and_never_the_one_for_others() -> None:
    batch = DiscoveredAssets()
    noted(batch, "a\x1b[2J\n" + "x" * 10_000, 1)
    noted(batch, OTHERS, 1)
    one, empty = batch.take()
    assert len(one.name) == NAME_CHARS_MAX
    assert one.name.startswith("a?[2J?x")
    assert empty.name == "?"
