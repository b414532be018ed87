"""Uses whose rows are behind: a register that is busy or full, restarts, and races."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteMandateRegister,
    SqlitePreparedRegister,
    SqliteProjections,
    SqliteStore,
)
from answerable.core.ledger.tags import Tag
from answerable.errors.codes.ledger import REGISTER_UNAVAILABLE
from answerable.flows.recovery.project_ledger import Log, catch_up, confirm
from answerable.flows.recovery.recall_prepared import RecalledPrepared
from answerable.testing.builders import Bench
from answerable.testing.clock import START
from answerable.testing.contracts.approval_register import LATER, approved
from answerable.testing.contracts.prepared_register import sample_prepared
from answerable.testing.samples import approval
from tests.worlds.prepared import (
    LARGE,
    PreparingUpstream,
    execute,
    executed,
    prepared,
    prepared_bench,
    refused,
    structured,
)

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOUSE-74")]


async def approved_batch() -> tuple[Bench, PreparingUpstream, str]:
    """A prepared batch that people approved, by its digest. All of its registers are in one file."""
    bench, upstream = await prepared_bench(structured(LARGE))
    named = await prepared(bench)
    waiting = (await execute(bench, named)).approval
    assert waiting is not None
    await bench.answer(waiting)
    return bench, upstream, named


def rows(store: SqliteStore) -> list[tuple[str, str]]:
    """The states of approvals and the users of prepared objects, as the file has them."""
    with closing(sqlite3.connect(store._path)) as file:
        return [
            *file.execute("SELECT 'approval', state FROM approvals"),
            *file.execute("SELECT 'prepared', used_by FROM prepared"),
        ]


def full(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no row be written from here on."""

    def refuse() -> NoReturn:
        raise REGISTER_UNAVAILABLE("cannot write the register file: database or disk is full")

    monkeypatch.setattr(store, "write", refuse)


@contextmanager
def busy(store: SqliteStore) -> Iterator[None]:
    """Another program writes the file and takes its time."""
    with closing(sqlite3.connect(store._path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def started_again(bench: Bench, store: SqliteStore) -> Bench:
    """A walk of the next process: its registers are caught up with the ledger, as at every start."""
    recorder, path = bench.walk.recorder, store._path
    log = Log(recorder.ledger.origin, recorder.ledger.replay)
    catch_up(SqliteProjections(store, path), [log], recorder.subject_keys.find, is_complete=False)
    kept, mandates = SqlitePreparedRegister(store), SqliteMandateRegister(store)
    recalled = RecalledPrepared(ledger=recorder.ledger, prepared=kept, clock=bench.clock)
    for stored in recorder.ledger.replay(mandates.used_up_to(recorder.ledger.origin)):
        if stored.tag == Tag.INTENT:
            recalled.note(stored)
    await recalled.restored()
    bench.authority.approvals = SqliteApprovalRegister(store)
    bench.walk.verification.prepared = kept
    return bench


async def test_an_action_does_not_wait_for_a_register_that_another_program_writes() -> None:
    bench, upstream, named = await approved_batch()
    before = rows(bench.store)
    with busy(bench.store):
        assert (await execute(bench, named)).outcome.status == "succeeded"
        await refused(bench, named, "prepared.used")
        assert rows(bench.store) == before, "its rows wait for that program, and it did not"
    assert len(executed(upstream)) == 1
    bench.store.uses.close()
    action = bench.entries(Tag.INTENT)[-1]["action"]
    assert rows(bench.store) == [("approval", "used"), ("prepared", action)]


async def test_without_room_for_its_rows_alone_an_action_runs_once_in_this_process_and_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, upstream, named = await approved_batch()
    before = rows(bench.store)
    with monkeypatch.context() as patched:
        full(bench.store, patched)
        assert (await execute(bench, named)).outcome.status == "succeeded"
        await refused(bench, named, "prepared.used")
        bench.store.uses.close()
    assert rows(bench.store) == before, "nothing of it is on disk"
    with closing(SqliteStore.open(bench.store._path)) as store:
        again = await started_again(bench, store)
        await refused(again, named, "prepared.used")
        assert {one.state for one in again.authority.approvals.all(pending_only=False, now=LATER)} == {"used"}
    assert len(executed(upstream)) == 1


async def test_a_use_that_the_ledger_lacks_is_none_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, upstream, named = await approved_batch()
    full(bench.store, monkeypatch)
    (waiting,) = bench.authority.approvals.all(pending_only=False, now=LATER)
    assert bench.authority.approvals.use(waiting.id, bench.clock.now())
    with closing(SqliteStore.open(bench.store._path)) as store:
        again = await started_again(bench, store)
        assert (await execute(again, named)).outcome.status == "succeeded"
    assert len(executed(upstream)) == 1


def test_a_count_of_budgets_is_stored_with_every_use_before_it(tmp_path: Path) -> None:
    with closing(SqliteStore.open(tmp_path / "registers.db")) as store:
        kept = SqlitePreparedRegister(store)
        kept.add(sample_prepared(), waiting_max=9)
        assert kept.use(sample_prepared().id, by="a-1", now=START)
        assert rows(store) == [("prepared", "")]
        SqliteMandateRegister(store).keep_used("log", {}, 9)
        assert rows(store) == [("prepared", "a-1")]


async def test_a_position_is_confirmed_with_the_uses_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, _, named = await approved_batch()
    recorder = bench.walk.recorder
    log, find = Log(recorder.ledger.origin, recorder.ledger.replay), recorder.subject_keys.find
    projections = SqliteProjections(bench.store, bench.store._path)
    catch_up(projections, [log], find, is_complete=False)
    monkeypatch.setattr(bench.store.uses, "follow", lambda: None)
    await execute(bench, named)
    assert ("approval", "approved") in rows(bench.store)
    assert confirm(projections, log, find)
    assert ("approval", "used") in rows(bench.store)


def approved_in(folder: Path) -> SqliteApprovalRegister:
    register = SqliteApprovalRegister(SqliteStore.open(folder / "registers.db"))
    register.add(approval())
    register.replace(approved(approval()), was=approval())
    return register


def test_what_is_being_denied_is_not_used_and_what_was_used_is_not_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = approved_in(tmp_path)
    store, tried = register._store, []
    write = store.write

    @contextmanager
    def meanwhile() -> Iterator[sqlite3.Connection]:
        with write() as connection:
            tried.append(register.use(approval().id, LATER))
            yield connection
        tried.append(register.use(approval().id, LATER))

    yes = approved(approval())
    monkeypatch.setattr(store, "write", meanwhile)
    assert register.replace(replace(yes, state="denied"), was=yes)
    assert tried == [False, False]
    assert not register.use(approval().id, LATER)


def test_a_refused_denial_leaves_what_it_was_to_deny_to_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = approved_in(tmp_path)
    yes = approved(approval())
    with monkeypatch.context() as patched:
        full(register._store, patched)
        with pytest.raises(Exception, match="disk is full"):
            register.replace(replace(yes, state="denied"), was=yes)
    assert register.use(approval().id, LATER)


def test_news_of_an_older_row_does_not_bring_a_used_approval_back(tmp_path: Path) -> None:
    register = approved_in(tmp_path)
    assert register.use(approval().id, LATER)
    with closing(SqliteStore.open(tmp_path / "registers.db")) as store:
        other, yes = SqliteApprovalRegister(store), approved(approval())
        assert other.replace(replace(yes, reasons=("another",)), was=yes)
    assert register._store.refresh()
    found = register.find(approval().id)
    assert found is not None
    assert (found.state, found.reasons) == ("used", ("another",))
    assert not register.use(approval().id, LATER)


def test_what_is_being_stored_is_not_given_back(tmp_path: Path) -> None:
    register = approved_in(tmp_path)
    assert register.use(approval().id, LATER)
    with register._store.uses.write():
        register.give_back(approval().id)
    register.give_back(approval().id)
    found = register.find(approval().id)
    assert found is not None
    assert found.state == "used"
    assert rows(register._store) == [("approval", "used")]


@pytest.mark.requirement("HOUSE-74")
def test_where_no_thread_is_to_be_had_nothing_fails_and_the_rows_are_stored_later(monkeypatch, tmp_path):
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    store = SqliteStore.open(tmp_path / "registers.db")
    store.uses.claim(("approvals", "a"), "SELECT ?", ("a",))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        store.uses.follow()
    assert store.uses.claimed("approvals") == {"a": ""}
    store.uses.follow()
    store.close()
    assert store.uses.claimed("approvals") == {}
