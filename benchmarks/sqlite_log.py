"""A peer of the ledger: rows in SQLite (WAL, synchronous=FULL), those of one turn of the loop in one transaction."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from functools import partial
from pathlib import Path

from raw_log import records_per_second


class SqliteLog:
    """Appends that share a commit with all others of the same turn of the event loop."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, record BLOB NOT NULL)")
        self._rows: list[tuple[bytes]] = []
        self._waiting: list[asyncio.Future[None]] = []

    async def append(self, record: bytes) -> None:
        """Returns when the record's transaction is on stable storage."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        durable: asyncio.Future[None] = loop.create_future()
        self._rows.append((record,))
        self._waiting.append(durable)
        await durable

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def _flush(self) -> None:
        rows, waiting = self._rows, self._waiting
        self._rows, self._waiting = [], []
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO entries (record) VALUES (?)", rows)
        self._connection.execute("COMMIT")
        for durable in waiting:
            durable.set_result(None)


def sqlite_group_commit(directory: Path, *, callers: int, seconds: float, record_bytes: int) -> float:
    """Durable records per second with this many callers, each waiting for its own record before the next."""
    return asyncio.run(_group_commit(directory / "peer.db", callers, seconds, record_bytes))


async def _group_commit(path: Path, callers: int, seconds: float, record_bytes: int) -> float:
    log, record = SqliteLog(path), os.urandom(record_bytes)
    rate = await records_per_second(partial(log.append, record), callers=callers, seconds=seconds)
    log.close()
    return rate
