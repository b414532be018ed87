"""Turn the terms of a search into SQL conditions over one stretch of entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.adapters.sqlite.search_index.schema import (
    COLUMNS,
    DIGESTS,
    UNINDEXED,
    USUAL,
    column_of,
    unusual,
)
from answerable.core.lease.name import LeaseName, octets_of
from answerable.core.search.facts import ACTIONS, PREVIEW, kind_of
from answerable.core.search.fields import BY_NAME, FIELDS
from answerable.ports.search_index import MONDAY, WEEK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from answerable.core.search.blind import BlindKey
    from answerable.core.search.query import Cursor, Query, Term

    Number = Callable[[str, str], int | None]

NUMBERS: Final = {one.name: number for number, one in enumerate(FIELDS)}
"""Number of a field in `mention`, in the order of the table: a field that is not added last needs a new VERSION."""
_FIRST: Final = (
    "action",
    "session",
    "approval",
    "hold",
    "incident",
    "lease",
    "token",
    "digest",
    "named",
    "stopped",
    "account",
    "approver",
    "resource",
    "destination",
    "text",
    "instance",
    "mandate",
    "manifest",
    "code",
    "person",
    "key",
    "target",
    "agent",
    "subject",
    "rule",
    "capability",
    "outcome",
    "kind",
    "decision",
    "server",
    "use-case",
)
"""Fields, those first whose values have the fewest entries: the first one of a search is looked up in its index, and
the others are compared."""
_SINGLE: Final = frozenset(USUAL)
"""Columns of which no entry has a second value."""
_KINDS: Final = {decision: kind_of(tag) for tag, (decision, _) in ACTIONS.items()}
_WEEK: Final = f"(a.at - {MONDAY}) / {WEEK}"
_ORDER: Final = "ORDER BY {0}.at {1}, {0}.entry {1}"


class Place(NamedTuple):
    """Where one value of a field may stand. table: `action`, or one with a row for each value. key: columns and what
    they must equal."""

    table: str
    key: tuple[tuple[str, object], ...]


class Select(NamedTuple):
    """A query for `at, entry, ended`. source: its tables and conditions. order: the order of answers."""

    source: str
    order: str
    values: tuple[object, ...]

    @property
    def sql(self) -> str:
        """Return the whole query."""
        return " ".join(("SELECT a.at, a.entry, a.ended FROM", self.source, self.order))


class Condition(NamedTuple):
    """A part of a query."""

    sql: str
    values: tuple[object, ...]


def selects(
    query: Query, after: Cursor | None, number: Number, blind: BlindKey | None, *, oldest_first: bool = False
) -> list[Select]:
    """Return the queries whose results together are the candidates; none where nothing can match.

    number: returns the number of a name in this stretch, for a field; None for one that no entry has.
    """
    places = [(term.field, [*_places(term, number, blind)]) for term in query.terms]
    if not all(found for _, found in places):
        return []
    places.sort(key=lambda one: _FIRST.index(one[0]))
    indexed = next((i for i, (field, _) in enumerate(places) if field not in UNINDEXED), None)
    first = places.pop(indexed)[1] if indexed is not None else [Place("action", ())]
    filters = [*map(_any_of, (found for _, found in places)), *_amounts(query)]
    return [_select(one, query, after, filters, oldest_first=oldest_first) for one in first]


def counting(query: Query, fields: Sequence[str], number: Number, blind: BlindKey | None) -> Condition | None:
    """Return the query that counts the candidates by the first values of fields: these, then count, first and last time
    and last entry. None where nothing can match."""
    found = selects(query, None, number, blind)
    if not found:
        return None
    columns = [_WEEK if one == "week" else f"a.{column_of(one)}" for one in fields]
    texts = [
        one if one is _WEEK else " ".join(("(SELECT n.text FROM name n WHERE n.id =", one, ")"))
        for one in columns
    ]
    if len(found) == 1:
        source = found[0].source
    else:
        parts = [" ".join(("SELECT a.entry FROM", one.source)) for one in found]
        source = " ".join(("action a WHERE a.entry IN (", " UNION ".join(parts), ")"))
    told = ", ".join((*texts, "count(*), min(a.at), max(a.at), max(a.entry)"))
    sql = " ".join(("SELECT", told, "FROM", source, "GROUP BY", ", ".join(columns)))
    return Condition(sql, tuple(value for one in found for value in one.values))


def _places(term: Term, number: Number, blind: BlindKey | None) -> Iterator[Place]:
    field, column = term.field, column_of(term.field)
    for value in term.values:
        if field == "session":
            kind, _, rest = value.partition(":")
            yield Place("session", (("value", value),))
            if rest:
                yield Place("session", (("value", rest), ("kind", kind)))
            continue
        if field == "decision":
            for kind in (_KINDS.get(value, ""), PREVIEW):
                yield from _named("kind", "kind", kind, number)
            continue
        if field in ("action", "lease"):
            octets = octets_in(field, value)
            if octets is not None:
                yield Place("action", (("id", octets), *((("leased", 1),) if field == "lease" else ())))
        if BY_NAME[field].indexed in ("name", "person", "both"):
            yield from _named(field, column, value, number)
        if BY_NAME[field].indexed in ("sealed", "person", "both", "words") and blind is not None:
            digest = blind.digest(field, value)
            if field in DIGESTS:
                yield Place("action", ((column, digest),))
            yield Place("word", (("word", digest),))


def _named(field: str, column: str, value: str, number: Number) -> Iterator[Place]:
    found = number(field, value)
    if found is not None:
        if field in COLUMNS:
            yield Place("action", ((column, found),))
        if field in _SINGLE:
            return
        yield Place("mention", (("field", NUMBERS[field]), ("name", found)))


def octets_in(field: str, value: str) -> bytes | None:
    """Return the 16 octets that name an action, from its id or from the name of its lease; None for anything else."""
    try:
        octets = bytes.fromhex(value) if field == "action" else octets_of(LeaseName(value))
    except ValueError:
        return None
    is_plain = len(octets) == 16 and (field == "lease" or octets.hex() == value)
    return octets if is_plain else None


def _select(
    first: Place, query: Query, after: Cursor | None, filters: list[Condition], *, oldest_first: bool
) -> Select:
    """Return the query that looks up one place and compares all other conditions with the entry found."""
    alias = "a" if first.table == "action" else "m"
    source = "action a" if alias == "a" else f"{first.table} m CROSS JOIN action a ON a.entry = m.entry"
    conditions = [f"{alias}.{column} = ?" for column, _ in first.key]
    # SQLite uses an index over a part of the entries only where the query says that the rest is not wanted.
    for column, found in first.key if first.table == "action" else ():
        if column in USUAL and found != USUAL[column][0]:
            conditions.append(f"a.{unusual(column)}")
    values: list[object] = [value for _, value in first.key]
    if query.since is not None:
        conditions.append(f"{alias}.at >= ?")
        values.append(query.since)
    if query.until is not None:
        conditions.append(f"{alias}.at < ?")
        values.append(query.until)
    if after is not None:
        conditions.append(f"({alias}.at, {alias}.entry) {'>' if oldest_first else '<'} (?, ?)")
        values += after
    for sql, more in filters:
        conditions.append(sql)
        values += more
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    # Only names of our own tables and columns; every value is a parameter.
    order = _ORDER.format(alias, "ASC" if oldest_first else "DESC")
    return Select(" ".join((source, where)), order, tuple(values))


def _any_of(places: list[Place]) -> Condition:
    """Return the condition that one of these places has the entry, without the use of an index on the entry."""
    parts: list[str] = []
    values: list[object] = []
    for table, key in places:
        if table == "action":
            parts.append(" AND ".join(f"+a.{column} = ?" for column, _ in key))
        else:
            equal = " AND ".join(f"x.{column} = ?" for column, _ in key)
            row = " ".join(
                ("SELECT 1 FROM", table, "x WHERE", equal, "AND x.at = a.at AND x.entry = a.entry")
            )
            parts.append(f"EXISTS ({row})")
        values += [value for _, value in key]
    return Condition(f"({' OR '.join(parts)})", tuple(values))


def _amounts(query: Query) -> Iterator[Condition]:
    for sign, number in query.amounts:
        yield Condition(f"a.amount {'=' if sign == ':' else sign} ?", (number,))
