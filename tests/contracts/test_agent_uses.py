"""When agents were last used, in SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteAgentUses, SqliteStore
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.errors import Unavailable
from answerable.ports.agent_uses import DAYS_KEPT, AgentUses, LogRead

pytestmark = pytest.mark.requirement("LIFE-02")
A, B = AgentId("a"), AgentId("b")


def register(tmp_path: Path) -> AgentUses:
    return SqliteAgentUses(SqliteStore.open(tmp_path / "registers.db"))


def used(**last: int) -> dict[AgentId, UnixMillis]:
    return {AgentId(name): UnixMillis(at) for name, at in last.items()}


def test_a_last_use_never_moves_back_nor_does_how_far_a_log_was_read(tmp_path: Path) -> None:
    uses = register(tmp_path)
    assert (dict(uses.logs()), dict(uses.last()), uses.days()) == ({}, {}, frozenset())
    uses.keep("log/a", read_to=10, window=90, used=used(a=5, b=7), days=[1, 2])
    uses.keep("log/b", read_to=3, window=30, used=used(a=4, b=9), days=[2, 3])
    # As a process does that had read before the other one wrote.
    uses.keep("log/a", read_to=8, window=5, used=used(a=1), days=[])
    assert dict(uses.logs()) == {
        "log/a": LogRead(read_to=10, window=90, told=2),
        "log/b": LogRead(read_to=3, window=30, told=1),
    }
    assert dict(uses.last()) == {A: 5, B: 9}
    assert uses.days() == {1, 2, 3}


def test_the_latest_days_stay(tmp_path: Path) -> None:
    uses = register(tmp_path)
    uses.keep("log", read_to=1, window=1, used={}, days=range(DAYS_KEPT + 10))
    uses.keep("log", read_to=1, window=1, used={}, days=[DAYS_KEPT + 10, 3])
    assert sorted(uses.days()) == [*range(11, DAYS_KEPT + 11)]


def test_sqlite_keeps_them_over_a_restart_and_shows_them_to_every_process(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "registers.db")
    ours, theirs = SqliteAgentUses(store), register(tmp_path)
    ours.keep("log", read_to=4, window=90, used=used(a=5), days=[1])
    assert dict(theirs.last()) == {A: 5}
    theirs.keep("log", read_to=5, window=90, used=used(a=6), days=[2])
    assert dict(ours.logs()) == {"log": LogRead(read_to=5, window=90, told=2)}
    store.close()
    with pytest.raises(Unavailable) as closed:
        ours.keep("log", read_to=6, window=90, used={}, days=[])
    assert closed.value.code == "register.unavailable"
    again = register(tmp_path)
    assert (dict(again.last()), again.days()) == ({A: 6}, frozenset({1, 2}))
