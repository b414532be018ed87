"""Registry documents whose rows cannot be read, on real SQLite files: at a start and while a process runs."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteProjections, SqliteRegistryStore, SqliteStore
from answerable.core.ledger.subject import LOG_SUBJECT, operator_subject, principal_subject
from answerable.errors import Broken
from answerable.flows.recovery.project_ledger import CaughtUp, Log, catch_up
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import Bench
from answerable.testing.samples import document
from tests.worlds.parts import to_apply

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("READBACK-06")]

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

    def caught_up(self, *, erased: str = "", is_complete: bool = True) -> CaughtUp:
        """erased: a subject whose key is gone."""
        walk = self.bench.walk
        gone = walk.recorder.subject_keys.of(erased).id if erased else b""
        log = Log(walk.recorder.ledger.origin, walk.recorder.ledger.replay)
        return catch_up(
            SqliteProjections(self.store, self.path),
            [log],
            lambda key: None if key == gone else walk.recorder.subject_keys.find(key),
            is_complete=is_complete,
        )

    def rows(self) -> list[tuple[object, ...]]:
        return self.store.rows("SELECT key, body FROM documents ORDER BY key")


@pytest.fixture
async def applied(tmp_path: Path) -> AsyncIterator[Applied]:
    path = tmp_path / "registers.db"
    with closing(SqliteStore.open(path)) as store:
        bench = await Bench(registry=SqliteRegistryStore(store)).registered()
        await apply_registry(
            *to_apply(bench.walk), [document("Principal", "erin", {"groups": ["sales"]})], by="other"
        )
        made = Applied(path, store, bench)
        made.caught_up()
        yield made


async def test_a_document_is_made_again_though_whoever_applied_others_was_erased(applied: Applied):
    before = applied.rows()
    applied.damaged(ALICE)
    done = applied.caught_up(erased=operator_subject("operator"))
    assert (done.damaged, applied.rows()) == (["Principal/alice"], before)


async def test_of_a_person_whose_own_key_is_gone_nothing_is_made_again_and_all_else_is(applied: Applied):
    before = applied.rows()
    applied.damaged(ALICE)
    done = applied.caught_up(erased=principal_subject("alice"))
    assert applied.rows() == [one for one in before if one[0] != "Principal/alice"]
    assert [one.register for one in done.left_out] == ["documents"]


async def test_a_name_with_a_changed_letter_is_damage_and_no_row_beyond_the_ledger(applied: Applied):
    before = applied.rows()
    applied.damaged("UPDATE documents SET key = 'Principal/erip' WHERE key = 'Principal/erin'")
    applied.caught_up()
    assert applied.rows() == before


@pytest.mark.parametrize("case", ["erased", "a log is missing"])
async def test_one_that_cannot_be_made_again_is_named_and_nothing_is_written(applied: Applied, case: str):
    applied.damaged(POLICIES)
    before = applied.rows()
    with pytest.raises(Broken, match=r"document `PolicySet/house` in the registers cannot be read") as found:
        applied.caught_up(erased=LOG_SUBJECT if case == "erased" else "", is_complete=case == "erased")
    assert found.value.code == "register.documents"
    assert applied.rows() == before


async def test_while_a_process_runs_all_stays_in_force_and_the_next_change_writes_it_again(applied: Applied):
    walk = applied.bench.walk
    before, in_force = applied.rows(), walk.authority.registry.current
    applied.damaged(POLICIES)
    assert applied.store.refresh()
    assert (walk.authority.registry.coming, walk.authority.registry.current) == (None, in_force)
    assert [one.what for one in applied.store.unreadable.all()] == ["document"]
    await apply_registry(
        *to_apply(walk), [document("Principal", "fay", {"groups": ["sales"]})], by="operator"
    )
    assert set(before) < set(applied.rows())
    with closing(SqliteStore.open(applied.path)) as other:
        assert set(SqliteRegistryStore(other).current.principals) >= {"alice", "fay"}
