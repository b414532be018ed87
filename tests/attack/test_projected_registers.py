"""Registers that are older than the ledger, empty or ahead of it, over every step of a life on real SQLite files."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from answerable.adapters.sqlite import (
    SqliteOpeningRegister,
    SqliteProjections,
    SqliteStore,
)
from answerable.adapters.sqlite.projected_tables import PROJECTED
from answerable.core.canonical import encode_ledger
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger import records
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.records_approvals import approval_answer
from answerable.core.ledger.records_workload import workload_enrolled
from answerable.core.ledger.runs import Run
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Broken
from answerable.flows.recovery.project_ledger import CaughtUp, Log, catch_up, confirm
from answerable.testing.contracts.instance_register import instance
from tests.worlds.older import ROWS
from tests.worlds.projection import Life, appended, asked, life, rows, steps

__all__ = ["life"]
OF_THE_FILE = {"attempts", "busy_until", "change", "left_out", "next_at", "number", "revision"}
"""In which order rows came, which change was the last, and how a stream of events is being sent."""
pytestmark = pytest.mark.anyio


@pytest.mark.requirement("PROJECT-08")
async def test_registers_from_before_any_step_or_from_nothing_are_caught_up_to_what_lived_on(life: Life):
    life.copied("the beginning")
    async with aclosing(steps(life)) as lived:
        async for step in lived:
            life.copied(f"after {step}")
            life.bench.clock.advance(1)
    live = rows(life.store)
    assert {table for table, _ in live} == ROWS.keys()
    # The histories of `test_register_histories` are by chance; this one has every step, and a copy of each second.
    for step, copy in [*[*life.copies.items()][::2], ("nothing", None)]:
        store, done = life.caught_up(copy)
        with closing(store):
            assert done.left_out == [], step
            assert rows(store) == live, step
            registers = SqliteProjections(store, copy or life.root / "nothing.db")
            again = catch_up(registers, [life.log], life.bench.recorder.subject_keys.find)
            assert not again.rows, f"{step}: an entry that is applied again changes nothing"


@pytest.mark.requirement("HOUSE-45")
async def test_of_intents_those_alone_are_opened_that_use_an_approval_in_whichever_form(life: Life):
    async with aclosing(steps(life)) as lived:
        async for _ in lived:
            life.bench.clock.advance(1)
    registers, found = SqliteProjections(life.store, life.root / "live.db"), set()
    for stored in life.bench.recorder.ledger.replay():
        if stored.tag == Tag.INTENT:
            leaf = leaf_of(stored)
            assert registers.wants(stored) == ("approval" in leaf)
            found.add(registers.wants(stored))
            before = encode_ledger({"approval": "", **leaf})
            assert registers.wants(structs.replace(stored, leaf=before)) == ("approval" in leaf)
    assert found == {True, False}


@pytest.mark.requirement("PROJECT-09")
async def test_nothing_that_has_ended_is_opened_by_entries_that_are_applied_again(life: Life):
    async with aclosing(steps(life)) as lived:
        async for _ in lived:
            life.bench.clock.advance(1)
    with life.store.write() as connection:
        connection.execute("UPDATE mandates SET state = 'closed'")
        connection.execute("UPDATE approvals SET state = 'void'")
    with closing(sqlite3.connect(life.root / "live.db")) as other:
        other.execute("UPDATE documents SET body = body")
        other.commit()
    projections = SqliteProjections(life.store, life.root / "live.db")
    assert projections.touched() == {"documents"}
    catch_up(projections, [life.log], life.bench.recorder.subject_keys.find)
    assert projections.touched() == frozenset()
    states = {
        row[0] for row in life.store.rows("SELECT state FROM mandates UNION SELECT state FROM approvals")
    }
    assert states <= {"closed", "void", "used", "denied"}


@pytest.mark.requirement("PROJECT-21")
async def test_of_what_gives_and_others_wrote_no_row_is_left_and_it_is_named_until_it_is_recalled(life: Life):
    await life.bench.registered()
    live, origin = life.root / "live.db", life.bench.recorder.ledger.origin
    registers = SqliteProjections(life.store, live)
    assert catch_up(registers, [life.log], life.bench.recorder.subject_keys.find).recalled == []
    with closing(sqlite3.connect(live)) as other:
        other.execute(
            "INSERT INTO passkeys (id, person, body, sign_count, removed_at) VALUES (x'01', 'ann', x'7b7d', 0, 0)"
        )
        other.execute("INSERT INTO duty_delegations (id, body, until, ended_at) VALUES ('d', x'7b7d', 9, 0)")
        other.execute("INSERT INTO budgets_used VALUES (?, 'm-1', 'calls', 0)", (origin,))
        other.commit()
    wrote = ["budgets", "duty_delegations", "passkeys"]
    for _ in range(2):  # A crash before they are recalled forgets nothing.
        assert catch_up(registers, [life.log], life.bench.recorder.subject_keys.find).recalled == wrote
        for table in ("passkeys", "duty_delegations", "budgets_used", "calls_counted"):
            assert life.store.rows(f"SELECT 1 FROM {table}") == []
    registers.cleared()
    assert catch_up(registers, [life.log], life.bench.recorder.subject_keys.find).recalled == []


@pytest.mark.requirement("PROJECT-10")
async def test_of_several_processes_that_start_at_once_each_entry_is_applied_by_one(life: Life):
    async with aclosing(steps(life)) as lived:
        async for _ in lived:
            life.bench.clock.advance(1)
    live, path = rows(life.store), life.root / "shared.db"
    stores = [SqliteStore.open(path) for _ in range(4)]
    done: list[CaughtUp] = []

    def start(store: SqliteStore) -> None:
        registers = SqliteProjections(store, path)
        done.append(catch_up(registers, [life.log], life.bench.recorder.subject_keys.find))

    threads = [threading.Thread(target=start, args=(store,)) for store in stores]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(done) == len(stores)
    assert [bool(one.rows) for one in done].count(True) == 1
    assert rows(stores[0]) == live
    for store in stores:
        store.close()


@pytest.mark.requirement("PROJECT-11")
async def test_a_position_moves_on_only_where_the_registers_are_as_the_entries_say(life: Life):
    walk, registers = life.bench.walk, SqliteProjections(life.store, life.root / "live.db")
    catch_up(registers, [life.log], walk.recorder.subject_keys.find)
    await life.bench.registered()
    await life.bench.issue()
    assert confirm(registers, life.log, walk.recorder.subject_keys.find)
    size = walk.recorder.ledger.size
    assert {one.entries for one in registers.positions(walk.recorder.ledger.origin).values()} == {size}
    await life.bench.issue("m-2")
    with life.store.write() as connection:
        connection.execute("DELETE FROM mandates_issued WHERE mandate = 'm-2'")
        connection.execute("DELETE FROM mandates WHERE id = 'm-2'")
    assert not confirm(registers, life.log, walk.recorder.subject_keys.find)
    assert {one.entries for one in registers.positions(walk.recorder.ledger.origin).values()} == {size}
    assert catch_up(registers, [life.log], walk.recorder.subject_keys.find).rows == {"mandates": 1}


@pytest.mark.requirement("PROJECT-07")
async def test_a_log_that_was_cut_or_is_another_one_is_found_by_every_register(life: Life):
    walk, registers = life.bench.walk, SqliteProjections(life.store, life.root / "live.db")
    await life.bench.registered()
    catch_up(registers, [life.log], walk.recorder.subject_keys.find)
    entries = [*walk.recorder.ledger.replay()]
    cut = Log(walk.recorder.ledger.origin, lambda start: iter(entries[start:-1]))
    with pytest.raises(Broken, match="cut or replaced") as found:
        catch_up(registers, [cut], walk.recorder.subject_keys.find)
    assert found.value.code == "ledger.entries_missing"
    other = [*entries[:-1], replace_hash(entries[-1])]
    with pytest.raises(Broken, match="cut or replaced"):
        catch_up(
            registers,
            [Log(walk.recorder.ledger.origin, lambda start: iter(other[start:]))],
            walk.recorder.subject_keys.find,
        )


def replace_hash(stored: Any) -> Any:
    return type(stored)(
        index=stored.index,
        tag=stored.tag,
        leaf=stored.leaf,
        attachment=stored.attachment,
        leaf_hash=bytes(32),
    )


async def forged_mandate(life: Life) -> None:
    """Whoever can append to the log writes down a mandate that alice never signed."""
    bench = life.bench
    mandate = bench.authority.mandates.find(MandateId("m-1"))
    assert mandate is not None
    forged = replace(mandate, id=MandateId("m-forged"))
    await appended(life, lambda sealing: records.mandate_issued(
        forged, at=bench.clock.now(), sealing=sealing, principal="0" * 64, audience=bench.recorder.ledger.origin
    ))  # fmt: skip


@pytest.mark.requirement("PROJECT-12")
async def test_a_mandate_an_answer_and_a_proposal_that_nobody_signed_give_nothing(life: Life):
    bench, walk = life.bench, life.bench.walk
    await bench.registered()
    await bench.issue()
    first, second = await asked(bench, 6_000), await asked(bench, 7_000)
    life.copied("before the forgery")
    await bench.answer(first)
    (signed,) = walk.authority.approvals.find(first.id).answers
    await forged_mandate(life)
    forged = replace(second, state="approved", answers=(signed,))
    run = Run(id="r" * 16, prev="", seq=0)
    await appended(life, lambda sealing: approval_answer(
        forged, signed, at=bench.clock.now(), sealing=sealing, run=run, person="0" * 64, digest="0" * 64, signer="",
    ))  # fmt: skip
    store, done = life.caught_up(life.copies["before the forgery"])
    with closing(store):
        assert [one.row for one in done.left_out] == ["m-forged"]
        assert store.rows("SELECT id FROM mandates") == [("m-1",)]
        states = dict(store.rows("SELECT id, state FROM approvals"))
    assert states == {first.id: "approved", second.id: "void"}


@pytest.mark.requirement("PROJECT-13")
async def test_a_join_token_that_was_used_since_an_older_copy_is_not_good_again(life: Life):
    await life.bench.registered()
    digest = bytes(range(32))
    with life.store.write() as connection:
        for number, one in enumerate((digest, bytes(32))):
            connection.execute(
                "INSERT INTO join_tokens (digest, name, agent, selectors, created_at, expires_at) "
                "VALUES (?, ?, 'scout', x'5b5d', 0, ?)",
                (one, f"t-{number}", 2**50),
            )
    life.copied("before its use")
    fresh = instance("i" * 32)
    used = replace(fresh, evidence=replace(fresh.evidence, join_token=digest.hex()))
    await appended(life, lambda sealing: workload_enrolled(used, at=life.bench.clock.now(), sealing=sealing))
    store, done = life.caught_up(life.copies["before its use"])
    with closing(store):
        assert done.rows["join_tokens"] == 1
        # And one that may have been used or withdrawn without an entry is not good any more, either.
        assert store.rows("SELECT digest, used_at FROM join_tokens") == [(digest, life.bench.clock.now())]


@pytest.mark.requirement("PROJECT-19")
async def test_yeses_since_an_older_copy_still_count_for_how_fast_people_say_them(life: Life):
    await life.bench.registered()
    await life.bench.issue()
    life.copied("before any yes")
    first = await asked(life.bench, 6_000)
    await life.bench.answer(first)
    second = await asked(life.bench, 7_000)
    await life.bench.answer(second, verdict="deny", reason="too_much", comment="less")
    query = "SELECT person, kind, what, at, holders FROM said"
    live = life.store.rows(query)
    assert live == [("bob", "approve", first.id, life.bench.clock.now(), 1)]
    for copy in (life.copies["before any yes"], None):
        store, _ = life.caught_up(copy)
        with closing(store):
            assert store.rows(query) == live
            now, since = life.bench.clock.now(), UnixMillis(life.bench.clock.now() - 1)
            claims = SqliteOpeningRegister(store)
            assert claims.claim("bob", "approve", "another", at=now, since=since, most=1) == 1


@pytest.mark.requirement("PROJECT-14")
def test_every_column_of_a_projected_table_is_compared_and_every_tag_taken_is_known(tmp_path: Path):
    with closing(SqliteStore.open(tmp_path / "any.db")) as store:
        tables = {"policies": "policy_records"}
        for name, query in ROWS.items():
            table = tables.get(name, name)
            columns = {row[1] for row in store.rows(f"PRAGMA table_info({table})")}
            compared = set(
                query.removeprefix("SELECT ")
                .partition(" FROM ")[0]
                .replace("||", ",")
                .replace(" ", "")
                .split(",")
            )
            assert columns - compared <= OF_THE_FILE, name
    assert {one.name for one in PROJECTED} == {*ROWS} - {"mandates_issued"} | {"join_tokens", "authorities"}
    taken = frozenset().union(*(one.tags for one in PROJECTED))
    assert taken <= {*Tag}
    assert Tag.POLICY_WITHDRAWN in taken
