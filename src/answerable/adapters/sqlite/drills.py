"""Store drills in SQLite. No mirror: only people's commands read them, no action does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.columns import octets, text, whole
from answerable.core.canonical import encode, parse
from answerable.core.containment.drill import Drill, DrillId, Milestone, drill_kind, drilled
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors.codes.ledger import REGISTER_CORRUPT_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from answerable.adapters.sqlite.store import SqliteStore
    from answerable.core.canonical import JSONValue
    from answerable.core.containment.drill import Drilled

_COLUMNS: Final = "id, kind, what, name, definition, shadow, at, made_by, actions, came_of_it"


class SqliteDrillRegister:
    """Port DrillRegister."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        store.unreadable.look_at(self.all)

    def put(self, drills: Collection[Drill]) -> int:
        with self._store.write() as connection:
            return connection.executemany(
                f"INSERT INTO drills ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608
                "ON CONFLICT (id) DO NOTHING",
                [
                    (
                        one.id,
                        one.kind,
                        *one.what,
                        one.definition,
                        one.shadow,
                        one.at,
                        one.by,
                        one.actions,
                        _body(one),
                    )
                    for one in drills
                ],
            ).rowcount

    def of(self, what: Drilled) -> Sequence[Drill]:
        query = f"SELECT {_COLUMNS} FROM drills WHERE what = ? AND name = ? ORDER BY number DESC"  # noqa: S608
        return tuple(self._store.unreadable.each("drill", self._store.rows(query, tuple(what)), _drill))

    def all(self) -> Sequence[Drill]:
        query = f"SELECT {_COLUMNS} FROM drills ORDER BY number DESC"  # noqa: S608
        return tuple(self._store.unreadable.each("drill", self._store.rows(query), _drill))


def _body(one: Drill) -> bytes:
    took: list[JSONValue] = [[name, ms] for name, ms in one.took]
    return encode({"faults": [*one.faults], "took": took})


def _drill(row: tuple[object, ...]) -> Drill:
    faults, took = _came_of_it(octets(row[9]))
    return Drill(
        id=DrillId(text(row[0])),
        kind=drill_kind(text(row[1])),
        what=drilled(text(row[2]), text(row[3])),
        definition=text(row[4]),
        shadow=text(row[5]),
        at=UnixMillis(whole(row[6])),
        by=text(row[7]),
        actions=whole(row[8]),
        faults=faults,
        took=took,
    )


def _came_of_it(body: bytes) -> tuple[tuple[str, ...], tuple[Milestone, ...]]:
    match parse(body):
        case {"faults": list(faults), "took": list(took)}:
            found: list[Milestone] = []
            for one in took:
                match one:
                    case [str(name), int(ms)]:
                        found.append(Milestone(name, ms))
            if len(found) == len(took):
                return tuple(str(one) for one in faults), tuple(found)
    raise REGISTER_CORRUPT_MALFORMED("its outcome cannot be read")
