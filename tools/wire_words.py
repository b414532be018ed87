"""The words that others read: members of what is encoded, columns of registers, numbers and names of ledger entries.

They outlive every name in the code. `python tools/wire_words.py` writes the stored list anew, whose change is then read
as one of the wire or of the disk; a test holds the code to it.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

import answerable
from answerable.adapters.sqlite import leases, migrations, subject_keys
from answerable.core.ledger.tags import Tag

STORED = Path(__file__).resolve().parents[1] / "tests/vectors/answerable/wire_words.json"

_REGISTERS = {
    "registers": migrations.MIGRATIONS,
    "leases": leases.LEASE_MIGRATIONS,
    "subject keys": subject_keys.MIGRATIONS,
}


def wire_words() -> dict[str, object]:
    """As the code has them now. Names of classes and modules are not among them."""
    return {
        "columns": {name: _columns(steps) for name, steps in _REGISTERS.items()},
        "members": sorted(map(_members, _structs())),
        "tags": {str(tag.value): tag.name.lower() for tag in Tag},
    }


def _members(struct: type[msgspec.Struct]) -> str:
    """In the order in which they are encoded."""
    tag = struct.__struct_config__.tag
    return " ".join([*([f"<{tag}>"] if tag is not None else []), *struct.__struct_encode_fields__])


def _structs() -> Iterator[type[msgspec.Struct]]:
    for module in pkgutil.walk_packages(answerable.__path__, "answerable."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    left = [msgspec.Struct]
    while left:
        for one in left.pop().__subclasses__():
            left.append(one)
            if one.__module__.startswith("answerable."):
                yield one


def _columns(steps: migrations.Migrations) -> dict[str, list[str]]:
    with sqlite3.connect(":memory:") as database:
        for step in steps:
            for statement in step:
                database.execute(statement)
        tables = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall()
        return {
            table: [f"{row[1]} {row[2]}" for row in database.execute(f"PRAGMA table_info({table})")]
            for (table,) in tables
        }


if __name__ == "__main__":
    STORED.write_text(json.dumps(wire_words(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
