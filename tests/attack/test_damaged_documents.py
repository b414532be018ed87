"""Registry documents whose rows cannot be read, on real SQLite files: at a start and while a process runs."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteProjections, SqliteRegistryStore, SqliteStore
from answerable.core.ledger.subject_key import key_id_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Broken
from answerable.flows.apply_registry import apply_registry
from answerable.flows.project_ledger import CaughtUp, Log, catch_up
from answerable.testing.builders import Bench
from answerable.testing.samples import document

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("READBACK-06")]

ERIN = "UPDATE documents SET body = x'00ff' WHERE key = 'Principal/erin'"
ALICE = "UPDATE documents SET body = x'00ff' WHERE key = 'Principal/alice'"
POLICIES = "UPDATE documents SET body = x'7b7d' WHERE key LIKE 'PolicySet/%'"


class Applied:
    """Documents of two operators in one file; the first of them may be erased."""

    def __init__(self, path: Path, store: SqliteStore, bench: Bench) -> None:
        self.path, self.store, self.bench = path, store, bench

    def damaged(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as other:
            assert other.execute(statement).rowcount == 1
            other.commit()

    def caught_up(self, *, erased: bool = False, is_complete: bool = True) -> CaughtUp:
        walk = self.bench.walk
        entries = [one for one in walk.ledger.replay() if one.tag == Tag.REGISTRY_CHANGE]
        first = key_id_of(entries[0].attachment)
        log = Log(walk.ledger.origin, walk.ledger.replay)
        return catch_up(
            SqliteProjections(self.store, self.path),
            [log],
            lambda key: None if erased and key == first else walk.subject_keys.find(key),
            is_complete=is_complete,
        )

    def rows(self) -> list[tuple[object, ...]]:
        return self.store.rows("SELECT key, body FROM documents ORDER BY key")


@pytest.fixture
async def applied(tmp_path: Path) -> AsyncIterator[Applied]:
    path = tmp_path / "registers.db"
    with closing(SqliteStore.open(path)) as store:
        bench = await Bench(registry=SqliteRegistryStore(store)).registered()
        await apply_registry(bench.walk, [document("Principal", "erin", {"groups": ["sales"]})], by="other")
        made = Applied(path, store, bench)
        made.caught_up()
        yield made


async def test_a_document_is_made_again_though_whoever_applied_others_was_erased(applied: Applied):
    before = applied.rows()
    applied.damaged(ERIN)
    done = applied.caught_up(erased=True)
    assert (done.damaged, applied.rows()) == (["Principal/erin"], before)


async def test_a_name_with_a_changed_letter_is_damage_and_no_row_beyond_the_ledger(applied: Applied):
    before = applied.rows()
    applied.damaged("UPDATE documents SET key = 'Principal/erip' WHERE key = 'Principal/erin'")
    applied.caught_up()
    assert applied.rows() == before


@pytest.mark.parametrize("case", ["erased", "a log is missing"])
async def test_one_that_cannot_be_made_again_is_named_and_nothing_is_written(applied: Applied, case: str):
    applied.damaged(ALICE)
    before = applied.rows()
    with pytest.raises(Broken, match="document `Principal/alice` in the registers cannot be read") as found:
        applied.caught_up(erased=case == "erased", is_complete=case == "erased")
    assert found.value.code == "register.documents"
    assert applied.rows() == before


async def test_while_a_process_runs_all_stays_in_force_and_the_next_change_writes_it_again(applied: Applied):
    walk = applied.bench.walk
    before, in_force = applied.rows(), walk.registry.current
    applied.damaged(POLICIES)
    assert applied.store.refresh()
    assert (walk.registry.coming, walk.registry.current) == (None, in_force)
    assert [one.what for one in applied.store.unreadable.all()] == ["document"]
    await apply_registry(walk, [document("Principal", "fay", {"groups": ["sales"]})], by="operator")
    assert set(before) < set(applied.rows())
    with closing(SqliteStore.open(applied.path)) as other:
        assert set(SqliteRegistryStore(other).current.principals) >= {"alice", "fay"}
