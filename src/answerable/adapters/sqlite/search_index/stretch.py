"""One file of the search index: a stretch of the log's entries, with names as numbers."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.search_index import files
from answerable.adapters.sqlite.search_index.account_uses import account_use, counting_accounts
from answerable.adapters.sqlite.search_index.conditions import NUMBERS, counting, octets_in, selects
from answerable.adapters.sqlite.search_index.schema import (
    COLUMNS,
    DIGESTS,
    UNINDEXED,
    column_of,
    stretch_schema,
)
from answerable.core.search.facts import OF_APPROVAL, OF_LEASE, kinds_of
from answerable.ports.search_index import MONDAY, WEEK, Candidate, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from answerable.core.search.accounts import AccountUse
    from answerable.core.search.blind import BlindKey
    from answerable.core.search.facts import Ended, Facts
    from answerable.core.search.query import Cursor, Query

NAMES_MAX: Final = 50_000
"""Numbers of names in memory; when there are more, all are read again as they are needed."""

_SET: Final = (*map(column_of, COLUMNS), *DIGESTS)
_INSERT: Final = " ".join(
    (
        "INSERT OR IGNORE INTO action (entry, at, id, leased, amount,",
        ", ".join(_SET),
        ") VALUES (?, ?, ?, ?, ?,",
        ", ".join("?" * len(_SET)),
        ")",
    )
)
_MENTION: Final = "INSERT OR IGNORE INTO mention (field, name, at, entry) VALUES (?, ?, ?, ?)"
_ADDED: Final = "INSERT OR IGNORE INTO mention (field, name, at, entry) SELECT ?, ?, at, entry FROM action"
_USE: Final = "INSERT OR IGNORE INTO used (field, name) VALUES (?, ?)"
_IS_USED: Final = "SELECT 1 FROM used WHERE field = ? AND name = ?"
_WORD: Final = "INSERT OR IGNORE INTO word (word, at, entry) VALUES (?, ?, ?)"
_END: Final = "UPDATE action SET outcome = ?, ended = ? WHERE entry = ? AND ended IS NULL"
_CORRECTS: Final = "UPDATE action SET outcome = ?, ended = ? WHERE entry = ? AND ended < ?"
_CORRECTED: Final = " ".join(
    (
        "INSERT OR IGNORE INTO corrected (intent, entry)",
        "SELECT entry, min(ended, :end) FROM action WHERE entry = :intent AND ended <> :end",
    )
)
_SESSION: Final = " ".join(
    (
        "INSERT OR IGNORE INTO session (value, kind, at, entry)",
        "SELECT ?, ?, at, entry FROM action WHERE entry = ?",
    )
)
_MARK: Final = "UPDATE mark SET mark = ?"
_OF: Final = (
    "subject = :number OR entry IN (SELECT entry FROM mention WHERE field = :subject AND name = :number)"
)
_EMPTY: Final = " ".join(("UPDATE action SET amount = NULL, resource = NULL, destination = NULL WHERE", _OF))
_WORDLESS: Final = " ".join(("DELETE FROM word WHERE entry IN (SELECT entry FROM action WHERE", _OF, ")"))


class Stretch:
    """An open file. Thread-safe only as far as its caller is."""

    def __init__(self, path: Path, blind: BlindKey | None) -> None:
        """Raises Unavailable (`search.unavailable`)."""
        self._connection = files.opened(path, stretch_schema())
        self._blind = blind
        self._numbers: dict[str, int] = {}
        self._known_uses: set[tuple[str, int]] = set()
        self.next_mark = b""
        """What every change makes of `mark`."""

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()

    def mark(self) -> bytes | None:
        """Return what the last change wrote; nothing in a new file, and None in one without a place for it."""
        with files.faults("cannot read the search index"):
            if not self._connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'mark'").fetchone():
                return None
            row = self._connection.execute("SELECT mark FROM mark").fetchone()
        return bytes(row[0]) if row else None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Run one transaction, which writes the next mark if it changes anything."""
        with files.transaction(self._connection):
            before = self._connection.total_changes
            yield
            if self._connection.total_changes != before:
                self._connection.execute(_MARK, (self.next_mark,))

    def write(
        self, facts: Sequence[Facts], ends: Sequence[Ended], added: Iterable[tuple[Facts, str, str]]
    ) -> None:
        """Write facts of entries of this stretch and the ends of its intents, in one transaction. added: further values
        of clear fields, as facts, field and value."""
        with self._changing():
            # A stretch without rows that the position covers is not a new one.
            self._connection.execute(_MARK, (self.next_mark,))
            for one in facts:
                self._insert(one)
            for one, field, value in added:
                self._mention(one, field, value)
            for end in ends:
                self._end(end)

    def add_approver(self, approval: str, person: str) -> None:
        """Note who answered an approval at the actions that used it, and at the other answers."""
        of_approval = ("approval = ?", (self._number(approval),))
        self._add("approver", person, OF_APPROVAL, of_approval)

    def add_account(self, lease: str, account: str) -> None:
        """Note the account of a lease at the actions that used the lease."""
        used = (
            "entry IN (SELECT entry FROM mention WHERE field = ? AND name = ?)",
            self._numbered("lease", lease),
        )
        octets = octets_in("lease", lease)
        of_action = (("id = ? AND leased = 1", (octets,)),) if octets is not None else ()
        self._add("account", account, OF_LEASE, used, *of_action)

    def _add(
        self, field: str, value: str, tags: Iterable[int], *where: tuple[str, tuple[object, ...]]
    ) -> None:
        """Add a value of a clear field to the entries of these types that meet a condition."""
        kinds = [*map(self._number, kinds_of(tags))]
        of_kind = f"kind IN ({', '.join('?' * len(kinds))})"
        with self._changing():
            added = (NUMBERS[field], self._made(value))
            for condition, values in where:
                sql = " ".join((_ADDED, "WHERE", condition, "AND", of_kind))
                self._connection.execute(sql, (*added, *values, *kinds))

    def _numbered(self, field: str, value: str) -> tuple[object, ...]:
        return NUMBERS[field], self._number(value)

    def forget(self, subject: str) -> None:
        """Erase the values from sealed fields in all entries that this subject's key seals."""
        sealed = {"number": self._number(subject), "subject": NUMBERS["subject"]}
        with self._changing():
            self._connection.execute(_WORDLESS, sealed)
            self._connection.execute(_EMPTY, sealed)

    def emptied(self) -> bool:
        """Write everything to the file itself. Return whether nothing is left in the write-ahead log."""
        return files.emptied(self._connection)

    def candidates(
        self, query: Query, after: Cursor | None, *, oldest_first: bool
    ) -> list[Iterator[Candidate]]:
        """Return iterators whose elements together are the candidates, each in the order that is asked for."""
        found = selects(query, after, self._number_in, self._blind, oldest_first=oldest_first)
        return [self._rows(one.sql, one.values) for one in found]

    def tallies(self, query: Query, fields: Sequence[str]) -> Iterator[Tally]:
        """Yield counts of the candidates, as the port says."""
        found = counting(query, fields, self._number_in, self._blind)
        if found is None:
            return
        weeks = [one == "week" for one in fields]
        with files.faults("cannot read the search index"):
            for row in self._connection.execute(*found):
                values = [
                    str(one * WEEK + MONDAY) if is_week else str(one or "")
                    for one, is_week in zip(row, weeks, strict=False)
                ]
                yield Tally(tuple(values), *row[len(fields) :])

    def account_uses(self, target: str, name: str) -> Iterator[AccountUse]:
        """Yield counts of actions by account, as the port says."""
        found = counting_accounts(target, name, self._number_in)
        if found is not None:
            with files.faults("cannot read the search index"):
                yield from map(account_use, self._connection.execute(*found))

    def corrected(self, intent: int) -> list[int]:
        """Return the ends of an intent that a later one corrected."""
        query = "SELECT entry FROM corrected WHERE intent = ? ORDER BY entry"
        with files.faults("cannot read the search index"):
            return [row[0] for row in self._connection.execute(query, (intent,))]

    def names(self, beginning: str) -> list[str]:
        """Return the names that begin with this text."""
        with files.faults("cannot read the search index"):
            found = self._connection.execute(
                "SELECT text FROM name WHERE text >= ? ORDER BY text", (beginning,)
            )
            return list(takewhile(lambda one: one.startswith(beginning), (str(row[0]) for row in found)))

    def _rows(self, sql: str, values: tuple[object, ...]) -> Iterator[Candidate]:
        with files.faults("cannot read the search index"):
            for at, entry, ended in self._connection.execute(sql, values):
                yield Candidate(at, entry, ended)

    def _insert(self, facts: Facts) -> None:
        """Write one entry. Of a field with a column the first value goes there, all others into another table."""
        firsts: list[object] = []
        for field in COLUMNS:
            found = facts.names.get(field)
            firsts.append(self._used(field, found[0]) if found else None)
        words: list[bytes] = []
        for field in DIGESTS:
            digests = self._digests(facts, field)
            firsts.append(digests[0] if digests else None)
            words += digests[1:]
        octets = octets_in("action", facts.one("action"))
        # The lease of one action is named after the action.
        is_own = octets is not None and octets_in("lease", facts.one("lease")) == octets
        row = (facts.entry, facts.at, octets, 1 if is_own else None, facts.amount, *firsts)
        self._connection.execute(_INSERT, row)
        for field, values in facts.names.items():
            if field == "decision" or (field == "action" and octets is not None):
                continue
            for value in values[field in COLUMNS or (field == "lease" and is_own) :]:
                self._mention(facts, field, value)
        for field in facts.sealed:
            if field not in DIGESTS:
                words += self._digests(facts, field)
        self._connection.executemany(_WORD, [(one, facts.at, facts.entry) for one in words])

    def _digests(self, facts: Facts, field: str) -> list[bytes]:
        blind = self._blind
        return [blind.digest(field, one) for one in facts.sealed.get(field, ())] if blind is not None else []

    def _mention(self, facts: Facts, field: str, value: str) -> None:
        self._connection.execute(_MENTION, (NUMBERS[field], self._used(field, value), facts.at, facts.entry))

    def _end(self, end: Ended) -> None:
        outcome = self._made(end.outcome)
        if not self._connection.execute(_END, (outcome, end.entry, end.intent)).rowcount:
            self._connection.execute(_CORRECTED, {"intent": end.intent, "end": end.entry})
            self._connection.execute(_CORRECTS, (outcome, end.entry, end.intent, end.entry))
        for kind, value in end.session:
            self._connection.execute(_SESSION, (value, kind, end.intent))

    def _used(self, field: str, name: str) -> int:
        """Return the number of a name, and note the field if that has no index."""
        number = self._made(name)
        if field in UNINDEXED and (field, number) not in self._known_uses:
            self._connection.execute(_USE, (NUMBERS[field], number))
            if len(self._known_uses) >= NAMES_MAX:
                self._known_uses.clear()
            self._known_uses.add((field, number))
        return number

    def _number_in(self, field: str, name: str) -> int | None:
        """Return the number of a name; None where no entry has it, or none in a field without an index."""
        number = self._number(name)
        if number is None or field not in UNINDEXED:
            return number
        with files.faults("cannot read the search index"):
            row = self._connection.execute(_IS_USED, (NUMBERS[field], number)).fetchone()
        return number if row else None

    def _number(self, name: str) -> int | None:
        known = self._numbers.get(name)
        if known is not None:
            return known
        with files.faults("cannot read the search index"):
            row = self._connection.execute("SELECT id FROM name WHERE text = ?", (name,)).fetchone()
        return self._kept(name, row[0]) if row else None

    def _made(self, name: str) -> int:
        number = self._number(name)
        if number is not None:
            return number
        made = self._connection.execute("INSERT INTO name (text) VALUES (?)", (name,)).lastrowid
        return self._kept(name, made or 0)

    def _kept(self, name: str, number: int) -> int:
        if len(self._numbers) >= NAMES_MAX:
            self._numbers.clear()
        self._numbers[name] = number
        return number
