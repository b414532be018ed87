"""An entry of any form, whoever wrote it, makes a row or is left out, and ends no start."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.sqlite import SqliteStore
from answerable.adapters.sqlite.projected_tables import PROJECTED
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.projected import Told, World
from answerable.core.ledger.projected_answers import haste_in
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from tests.worlds.projection import Life, life, steps

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

    Members = dict[str, JSONValue]

__all__ = ["life"]
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PROJECT-22")]

TAGS = frozenset[Tag]().union(*(one.tags for one in PROJECTED))
OTHER: list[JSONValue] = [
    None,
    -1,
    2.5,
    "",
    "zz",
    "{",
    '{"passkey":[]}',
    "ey.J.x",
    [],
    [[]],
    [["a"]],
    ["a", 1, 2],
    {},
]
SEALED: list[JSONValue] = [*OTHER, "\ud800", {"a": "\ud800"}]
"""What is sealed is read by the lenient reader, for upstreams may say anything."""


def told(life: Life) -> list[Told]:
    """One entry of each kind that says anything of a register, with the world before it."""
    kinds: dict[tuple[int, JSONValue], Told] = {}
    world = World({}, {})
    for stored in life.log.entries(0):
        leaf = leaf_of(stored)
        fields = payload_of(stored, leaf, life.bench.recorder.subject_keys.find)
        if stored.tag in TAGS:
            kinds[stored.tag, leaf.get("verdict")] = Told(
                log=life.log.origin,
                index=stored.index,
                leaf_hash=stored.leaf_hash.hex(),
                tag=stored.tag,
                leaf=leaf,
                fields=fields,
                world=world,
            )
        world = world.after(stored.tag, leaf, fields)
    answer = kinds[Tag.APPROVAL_ANSWER, "approve"]
    # These no step of a life has.
    test: Members = {"nonce": "00" * 32, "wrong": "amount", "argument": "amount", "ended": "caught"}
    review: Members = {"verdict": "justified"}
    deputy: Members = {"duty": {"group": "a", "delegation": "d"}, "duty_ref": {"entry": 1, "leaf": ""}}
    authority: Members = {"at": 1, "authority": "00" * 16, "state": "old", "sequence": 3}
    return [
        *kinds.values(),
        replace(answer, tag=Tag.CANARY_TOLD, leaf=answer.leaf | test),
        replace(answer, tag=Tag.GLASS_REVIEWED, leaf=answer.leaf | review),
        replace(answer, leaf=answer.leaf | deputy, fields=(answer.fields or {}) | {"of": "carol"}),
        replace(answer, tag=Tag.AUTHORITY_CHANGED, leaf=authority, fields=None),
        replace(answer, tag=Tag.WORKLOAD_ENROLLED, leaf={"at": 1, "join_token": "00" * 32}, fields=None),
    ]


def otherwise(members: Members, others: list[JSONValue]) -> Iterator[Members]:
    """The same with one of them away, or something else, on each level."""
    for name, value in members.items():
        rest = {key: one for key, one in members.items() if key != name}
        yield rest
        yield from (rest | {name: other} for other in others)
        if isinstance(value, dict):
            yield from (rest | {name: inner} for inner in otherwise(value, others))


def forms(one: Told) -> Iterator[Told]:
    yield from (replace(one, leaf=leaf) for leaf in otherwise(one.leaf, OTHER))
    yield from (replace(one, fields=fields) for fields in otherwise(one.fields or {}, SEALED))
    yield replace(one, fields=None)


def applied(connection: sqlite3.Connection, one: Told) -> str:
    """Why it is left out; empty where it makes a row."""
    try:
        for table in PROJECTED:
            for key in table.keys(one) if one.tag in table.tags else ():
                table.save(connection, key, table.after(key, table.load(connection, key), one))
    except AnswerableError as error:
        return error.code
    return ""


async def test_an_entry_of_any_form_makes_a_row_or_is_left_out(life: Life):
    async for _ in steps(life):
        pass
    each = told(life)
    assert {one.tag for one in each} == TAGS
    SqliteStore.open(life.root / "nothing.db").close()
    files = [sqlite3.connect(life.root / name, isolation_level=None) for name in ("live.db", "nothing.db")]
    left_out = set()
    for one in each:
        for form in forms(one):
            for connection in files:
                connection.execute("BEGIN")
                left_out.add(applied(connection, form))
                if (haste := haste_in(form)) is not None:
                    connection.execute("INSERT OR IGNORE INTO said VALUES (?, ?, ?, ?, 1)", haste)
                connection.execute("ROLLBACK")
            one.world.after(form.tag, form.leaf, form.fields)
    assert "ledger.key_gone" in left_out
