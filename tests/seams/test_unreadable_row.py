"""Unreadable row: one row of every table of the registers is spoilt while the server is down. No other is out.

What gives authority is out of use and named; what ends it is in force again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, each, prepare, still
from tests.seams.life import Life, life
from tests.seams.rows_answers import LARGE, device, paid

pytestmark = pytest.mark.requirement("SEAM-08")
WRITTEN = "written 0"
NAME_CHARS_MIN = 6
"""Shorter values of a row are no names."""

Asked = Callable[[Life, dict[str, Any]], str]
OUT_OF_USE: Mapping[str, tuple[Asked, str]] = {
    "mandates": (lambda life, kept: life.reads("worker", kept["said"]), "mandate.unknown"),
    "approvals": (lambda life, kept: life.pays("worker", kept["mandate"], WRITTEN, LARGE).code, "pending"),
    "prepared": (
        lambda life, kept: life.call("worker", kept["mandate"], "execute", run=kept["said"]).code,
        "prepared.unknown",
    ),
    "instances": (lambda life, kept: life.reads("written-0", kept["mandate"]), "proof.key"),
    "tool_pins": (
        lambda life, kept: life.call("worker", kept["mandate"], "spare0", account="A1").code,
        "tool.unreadable",
    ),
    "policy_records": (lambda life, _: listed(life, "/v1/policy/proposals", "comment", WRITTEN), "not there"),
    "drills": (lambda life, kept: listed(life, "/v1/drills", "id", kept["said"]), "not there"),
}
"""By table, what somebody hears who uses what its spoilt row was about."""
NAMED = {*OUT_OF_USE, "join_tokens"}
"""By `doctor`. The join token is that of a drill, which nobody has any more."""
IN_FORCE: Mapping[str, tuple[Asked, str]] = {
    "documents": (lambda life, _: str(life.asked("GET", "/v1/registry/UseCase/written-0")[0]), "200"),
    "holds": (lambda life, kept: listed(life, "/v1/holds", "id", kept["said"]), "there"),
    "revocations": (lambda life, kept: life.reads("worker", kept[WRITTEN]), "revoked.mandate"),
    "passkeys": (lambda life, _: str(life.signs_in(device(life, WRITTEN))), "200"),
    "duty_delegations": (lambda life, _: listed(life, "/v1/duty-delegations", "reason", WRITTEN), "there"),
}
"""By table, the same where the start brings back what the ledger says of the row."""
NOT_TOLD = {
    "citations", "mandates_issued", "tokens", "duty_marks", "invitations", "inventory", "figures",
}  # fmt: skip
"""Of these any text can be read: none is a name that is asked for then, or it is counted again."""


def listed(life: Life, path: str, member: str, value: str) -> str:
    return "there" if value in [one[member] for one in life.items(path)] else "not there"


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    """Spoilt is what each row wrote besides what it looks at. said, names: of it, by table, what the start said, and
    the values of the row. Documents come first, for of a file in which one is spoilt the start looks at every row."""
    with life() as one:
        prepare(one)
        registers = one.home.data / "answerable.db"
        before = keys_in(registers)
        each(
            one,
            lambda row: one.kept[row.name].update(
                said=row.write(one, one.kept[row.name], 0), names={}, told={}
            ),
        )
        one.answer("approve", one.kept["approval"]["said"], "chen")
        for spoils in ({"documents"}, before.keys() - {"documents"}):
            one.stop()
            for row in FEATURES:
                for table in sorted(row.tables & spoils & before.keys()):
                    if names := spoil(registers, table, before[table]):
                        one.kept[row.name]["names"][table] = names
            one.start()
            for row in FEATURES:
                one.kept[row.name]["told"] |= dict.fromkeys(spoils, one.home.said)
        yield one


def keys_in(registers: Path) -> dict[str, set[tuple[object, ...]]]:
    """Of every table, its rows."""
    with closing(sqlite3.connect(registers)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: {*database.execute(f"SELECT {', '.join(columns(database, table)[0])} FROM {table}")}
            for table in tables
        }


def columns(database: sqlite3.Connection, table: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Those of its key, and those that hold text or bytes besides, with their types."""
    found = database.execute(f"PRAGMA table_info({table})").fetchall()
    key = [name for _, name, _, _, _, place in found if place] or ["rowid"]
    return key, [
        (name, kind) for _, name, kind, _, _, place in found if not place and kind in ("TEXT", "BLOB")
    ]


def spoil(registers: Path, table: str, before: set[tuple[object, ...]]) -> list[str]:
    """Overwrite the body of the first row that was not there before; its values, which name it; none where there is
    nothing to be spoilt."""
    with closing(sqlite3.connect(registers)) as database, database:
        key, bodies = columns(database, table)
        rows = [one for one in database.execute(f"SELECT {', '.join(key)} FROM {table}") if one not in before]
        if not rows or not bodies:
            return []
        # Text may say anything that text can; bytes are read as what was written.
        name, kind = max(bodies, key=lambda one: (one[1] == "BLOB", length(database, table, one[0])))
        spoilt = b"\x00\xff" if kind == "BLOB" else "{ no JSON"
        where = " AND ".join(f"{one} = ?" for one in key)
        values = database.execute(f"SELECT * FROM {table} WHERE {where}", min(rows)).fetchone()
        database.execute(f"UPDATE {table} SET {name} = ? WHERE {where}", (spoilt, *min(rows)))
        # As a fault of the disk leaves it: of what somebody writes by hand the start makes what the ledger says.
        database.execute("UPDATE touched SET by_others = 0")
        found = (one.hex() if isinstance(one, bytes) else str(one) for one in values)
        return [one for one in found if len(one) >= NAME_CHARS_MIN]


def length(database: sqlite3.Connection, table: str, name: str) -> int:
    return int(database.execute(f"SELECT coalesce(max(length({name})), 0) FROM {table}").fetchone()[0])


@column("unreadable row")
def test_a_row_that_cannot_be_read_puts_out_only_itself(lived: Life, row: Feature):
    kept = lived.kept[row.name]
    assert set(kept["names"]) <= {*NAMED, *IN_FORCE, *NOT_TOLD}
    for table, names in kept["names"].items():
        ask, answer = OUT_OF_USE.get(table) or IN_FORCE.get(table) or (lambda *_: "", "")
        assert ask(lived, kept) == answer, table
        assert table not in IN_FORCE or any(name in kept["told"][table] for name in names), table
    still(lived, row)


def test_doctor_names_each_row_that_is_out_of_use(lived: Life):
    """Those, too, that are read only when somebody asks for them: the tests before did."""
    found = json.loads(lived.printed("doctor", "--json", code=5))
    said = "\n".join(one["says"] for one in found if one["name"] == "registers" and one["state"] == "fault")
    for row in FEATURES:
        for table, names in lived.kept[row.name]["names"].items():
            assert table not in NAMED or any(name in said for name in names), (table, said)


def test_a_yes_that_cannot_be_read_lets_nothing_run(lived: Life):
    assert paid(lived, WRITTEN) == 0


def test_rows_of_most_tables_were_spoilt(lived: Life):
    spoilt = {table for row in FEATURES for table in lived.kept[row.name]["names"]}
    assert {*IN_FORCE, *NAMED} <= spoilt, spoilt
