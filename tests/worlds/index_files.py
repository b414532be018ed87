"""What the files of a search index hold."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any


def bytes_below(place: Path) -> bytes:
    """All that stands in the files of an index, the write-ahead logs included."""
    return b"".join(one.read_bytes() for one in sorted(place.rglob("*")) if one.is_file())


def rows_of(index_place: Path) -> dict[str, list[Any]]:
    """Every row of an index but its random marks, with names in the place of numbers, to compare two indexes."""
    found: dict[str, list[Any]] = {}
    for path in sorted(index_place.glob("*.db")):
        connection = sqlite3.connect(path)
        names = (
            dict(connection.execute("SELECT id, text FROM name").fetchall())
            if path.name != "index.db"
            else {}
        )
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            if table in ("name", "mark", "stretch"):
                continue
            cursor = connection.execute(f"SELECT * FROM {table}")
            columns = [one[0] for one in cursor.description]
            numbered = {
                i
                for i, one in enumerate(columns)
                if names and (one == "name" or (table == "action" and one not in PLAIN))
            }
            rows = [
                tuple(names.get(v) if i in numbered and v is not None else v for i, v in enumerate(row))
                for row in cursor
            ]
            found[f"{path.name} {table}"] = sorted(rows, key=repr)
        connection.close()
    return found


PLAIN = {"entry", "at", "ended", "id", "leased", "amount", "resource", "destination"}
