"""Store the uses of agents in SQLite. Reads go to the file, since they are rare, so there is no mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite.columns import text, whole
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.ports.agent_uses import DAYS_KEPT, LogRead

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.adapters.sqlite.store import SqliteStore


class SqliteAgentUses:
    """Port AgentUses."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def keep(
        self,
        log: str,
        *,
        read_to: int,
        window: int,
        used: Mapping[AgentId, UnixMillis],
        days: Collection[int],
    ) -> None:
        with self._store.write() as connection:
            connection.execute(
                "INSERT INTO uses_read (log, read_to, days_back, told) VALUES (?, ?, ?, 1) "
                "ON CONFLICT (log) DO UPDATE SET read_to = max(read_to, excluded.read_to), "
                "days_back = max(days_back, excluded.days_back), told = told + 1",
                (log, read_to, window),
            )
            connection.executemany(
                "INSERT INTO agent_uses (agent, last) VALUES (?, ?) "
                "ON CONFLICT (agent) DO UPDATE SET last = max(last, excluded.last)",
                [*used.items()],
            )
            connection.executemany(
                "INSERT INTO use_days (day) VALUES (?) ON CONFLICT (day) DO NOTHING",
                [(day,) for day in days],
            )
            connection.execute(
                "DELETE FROM use_days WHERE day IN (SELECT day FROM use_days ORDER BY day DESC LIMIT -1 OFFSET ?)",
                (DAYS_KEPT,),
            )

    def logs(self) -> Mapping[str, LogRead]:
        rows = self._store.rows("SELECT log, read_to, days_back, told FROM uses_read")
        return {
            text(log): LogRead(read_to=whole(read_to), window=whole(window), told=whole(told))
            for log, read_to, window, told in rows
        }

    def last(self) -> Mapping[AgentId, UnixMillis]:
        rows = self._store.rows("SELECT agent, last FROM agent_uses")
        return {AgentId(text(agent)): UnixMillis(whole(last)) for agent, last in rows}

    def days(self) -> frozenset[int]:
        return frozenset(whole(day) for (day,) in self._store.rows("SELECT day FROM use_days"))
