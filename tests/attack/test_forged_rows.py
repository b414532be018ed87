"""Rows of any register, written by another program while the server is down: none is believed, and its register is
named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.sqlite import (
    SqliteEventRegister,
    SqliteProjections,
    SqliteStore,
)
from answerable.adapters.sqlite.projected_tables import PROJECTED
from answerable.core.incident.projected_streams import as_told
from answerable.core.incident.stream_form import encoded_stream
from answerable.errors import Broken
from answerable.flows.events.manage_streams import create_stream
from answerable.flows.recovery.project_ledger import catch_up
from tests.worlds.event import desk_on
from tests.worlds.projection import Life, asked, life

__all__ = ["life"]
pytestmark = pytest.mark.anyio

FORGED = {
    "agent_uses": ("agent_uses", "INSERT INTO agent_uses VALUES ('scout', 9)"),
    "citations": (
        "citations",
        "INSERT INTO citations SELECT log, 'tool', 'x', 1, '00' FROM projections LIMIT 1",
    ),
    "drills": (
        "drills",
        "INSERT INTO drills (id, kind, what, name, definition, shadow, at, made_by, actions, came_of_it) "
        "VALUES ('d', 'stop', 'agent', 'scout', 'x', 's', 0, 'u', 1, x'7b7d')",
    ),
    "duty_marks": (
        "duty_marks",
        "INSERT INTO duty_marks (approval, kind, who, step, at) VALUES ('a', 'told', 'approvers', 1, 0)",
    ),
    "events": (
        "events_waiting",
        "INSERT INTO events_waiting (stream, id, at, body, shown) VALUES ('s', 'e', 0, x'7b7d', 0)",
    ),
    "federated": ("federated", "INSERT INTO federated VALUES ('b.test', x'7b7d')"),
    "figures": ("figures", "INSERT INTO figures SELECT log, '-1//', x'5b5d' FROM projections LIMIT 1"),
    "history": ("history", "INSERT INTO history SELECT log, 't', 'm-1', '', x'00' FROM projections LIMIT 1"),
    "inventory": (
        "inventory",
        "INSERT INTO inventory VALUES ('agent', 'x', 'uid 0', 'claimed', '', 0, 0, 0, 1)",
    ),
    "invitations": (
        "invitations",
        "INSERT INTO invitations (digest, person, made_by, created_at, expires_at) VALUES (x'01', 'ann', 'u', 0, 9)",
    ),
    "join_tokens": (
        "join_tokens",
        "INSERT INTO join_tokens (digest, name, agent, selectors, created_at, expires_at) "
        "VALUES (x'01', 't', 'scout', x'5b5d', 0, 9)",
    ),
    "messages": (
        "deliveries",
        "INSERT INTO deliveries (about, channel, receiver, made_at, told, at, attempts, next_at, handle, missed, "
        "error, body) VALUES ('a', 'email', 'place:x', 0, '', 0, 0, 0, '', 0, '', 'pay here')",
    ),
    "openings": ("looks", "INSERT INTO looks (about, person, at) VALUES ('a', 'ann', 0)"),
    "prepared": (
        "prepared",
        "INSERT INTO prepared (id, agent, digest, expires_at, used_by, body, content) "
        "VALUES ('p', 'scout', 'd', 9, '', x'7b7d', x'')",
    ),
    "push_devices": (
        "push_devices",
        "INSERT INTO push_devices (id, person, endpoint, key, secret, label, made_at) "
        "VALUES ('d', 'ann', 'https://x.test', x'', x'', '', 0)",
    ),
    "receivers": ("receivers", "INSERT INTO receivers VALUES ('m-1', 'scout', 'rover')"),
    "said": ("said", "INSERT INTO said VALUES ('ann', 'approve', 'a', 0, 1)"),
    "status_lists": ("status_lists", "INSERT INTO status_lists VALUES (1, x'00', x'00', 0)"),
    "tokens": ("token_names", "INSERT INTO token_names VALUES ('hop', 'h', 1)"),
}
"""By register, a table of it, and a row that no entry speaks of."""
UNNOTED = {"authority_changes", "migrations", "touched"}
"""What a file says of itself: what changed for processes that run, its version, and who wrote it."""


@pytest.mark.requirement("PROJECT-29")
async def test_no_row_is_believed_that_others_wrote_and_no_entry_speaks_of(life: Life):
    await life.bench.registered()
    live, find = life.root / "live.db", life.bench.recorder.subject_keys.find
    registers = SqliteProjections(life.store, live)
    assert catch_up(registers, [life.log], find).recalled == []
    with closing(sqlite3.connect(live)) as other:
        for _, statement in FORGED.values():
            assert other.execute(statement).rowcount == 1, statement
        other.commit()
    assert catch_up(registers, [life.log], find).recalled == sorted(FORGED)
    for table, _ in FORGED.values():
        assert life.store.rows(f"SELECT 1 FROM {table}") == [], table
    registers.cleared()
    assert catch_up(registers, [life.log], find).recalled == []


@pytest.mark.requirement("PROJECT-29")
async def test_what_was_used_and_is_unused_by_hand_is_gone(life: Life):
    await life.bench.registered()
    live, find = life.root / "live.db", life.bench.recorder.subject_keys.find
    registers = SqliteProjections(life.store, live)
    catch_up(registers, [life.log], find)
    tables = ("invitations", "join_tokens")
    with life.store.write() as connection:
        for table in tables:
            connection.execute(FORGED[table][1])
            connection.execute(f"UPDATE {table} SET used_at = 5")
    with closing(sqlite3.connect(live)) as other:
        for table in tables:
            other.execute(f"UPDATE {table} SET used_at = NULL")
        other.commit()
    assert catch_up(registers, [life.log], find).recalled == [*tables]
    for table in tables:
        assert life.store.rows(f"SELECT 1 FROM {table}") == []


@pytest.mark.requirement("PROJECT-29")
def test_writes_of_others_are_noted_in_each_table_and_each_register_is_made_again(tmp_path: Path):
    by_readers = {
        "authorities",
        "budgets",
        "duty_delegations",
        "holds",
        "instances",
        "passkeys",
        "revocations",
    }
    with closing(SqliteStore.open(tmp_path / "any.db")) as store:
        registers = {str(name) for (name,) in store.rows("SELECT name FROM touched")}
        tables = {str(name) for (name,) in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        query = "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%UPDATE touched%'"
        noted = {name for (name,) in store.rows(query)}
    assert {one for one in tables - noted if not one.startswith("sqlite_")} == UNNOTED
    assert registers == {*FORGED, *by_readers, "positions"} | {one.name for one in PROJECTED}


@pytest.mark.requirement("PROJECT-36")
async def test_a_stream_of_events_that_others_made_lets_nothing_start_and_one_they_changed_is_as_it_was(
    life: Life,
):
    await life.bench.registered()
    live, find = life.root / "live.db", life.bench.recorder.subject_keys.find
    desk = desk_on(life.bench, register=SqliteEventRegister(life.store))
    name = (await create_stream(desk, "scout", {}))["stream_id"]
    registers = SqliteProjections(life.store, live)
    catch_up(registers, [life.log], find)
    before = desk.register.find(name)
    with closing(sqlite3.connect(live)) as other:
        for status, since in (("disabled", 0), ("enabled", 9_999)):
            found = replace(before, status=status, since={life.log.origin: since})
            other.execute("UPDATE event_streams SET body = ?", (encoded_stream(found),))
            other.commit()
            done = catch_up(registers, [life.log], find)
            assert [(one.register, one.row) for one in done.mended] == [("event_streams", name)]
            assert as_told(desk.register.find(name)) == as_told(before)
        insert = "INSERT INTO event_streams (id, body, revision) VALUES ('forged', ?, 1)"
        other.execute(insert, (encoded_stream(replace(before, receiver="rover")),))
        other.commit()
    with pytest.raises(Broken, match="event_streams `forged`") as refused:
        catch_up(registers, [life.log], find)
    assert refused.value.code == "register.beyond_ledger"


@pytest.mark.requirement("PROJECT-19")
async def test_yeses_that_others_removed_or_backdated_count_again(life: Life):
    await life.bench.registered()
    await life.bench.issue()
    for amount in (6_000, 7_000):
        await life.bench.answer(await asked(life.bench, amount))
    registers, find = (
        SqliteProjections(life.store, life.root / "live.db"),
        life.bench.recorder.subject_keys.find,
    )
    catch_up(registers, [life.log], find)
    said = life.store.rows("SELECT * FROM said")
    assert len(said) == 2
    for statement in ("DELETE FROM said", "UPDATE said SET at = 0", "UPDATE said SET person = 'x'"):
        with closing(sqlite3.connect(life.root / "live.db")) as other:
            other.execute(statement)
            other.commit()
        assert catch_up(registers, [life.log], find).recalled == ["said"]
        assert life.store.rows("SELECT * FROM said") == said
        registers.cleared()
