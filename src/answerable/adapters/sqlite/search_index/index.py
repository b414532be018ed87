"""The search index of one log: a file about the whole, and a file for each stretch of entries.

The files of the stretches are written first and the position last, each in a transaction of its own: after a crash the
batch is applied again, which changes nothing that is already there.
"""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.search_index import files, sums
from answerable.adapters.sqlite.search_index.schema import VERSION, WHOLE_SCHEMA
from answerable.adapters.sqlite.search_index.stretch import Stretch
from answerable.core.ledger.projected import Position
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import NOT_OF_USE, OF_APPROVAL, OF_LEASE, Facts
from answerable.errors.codes.search import SEARCH_OTHER_LOG
from answerable.ports.search_index import Reach

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from answerable.core.search.blind import BlindKey
    from answerable.core.search.facts import Ended
    from answerable.core.search.query import Cursor, Query
    from answerable.ports.search_index import Candidate, Tally

STRETCH_ENTRIES: Final = 1_000_000
"""Entries of one file: with more of them, each insert into an index in random order takes longer."""
WHOLE: Final = "index.db"
_STRETCH: Final = "entries-{:05}.db"


class SqliteSearchIndex:
    """Implements ports.search_index.SearchIndex over a directory. Created by `open`; thread-safe."""

    def __init__(
        self, directory: Path, whole: sqlite3.Connection, blind: BlindKey | None, stretch_entries: int
    ) -> None:
        self._directory = directory
        self._whole = whole
        self._blind = blind
        self._stretch_entries = stretch_entries
        self._stretches: dict[int, Stretch] = {}
        self._lock = threading.RLock()
        self._place = files.place_of(directory / WHOLE)
        self._is_settled = True

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        origin: str,
        blind: BlindKey | None,
        stretch_entries: int = STRETCH_ENTRIES,
    ) -> SqliteSearchIndex:
        """Open or create the index of the log with this origin. blind: None where sealed fields cannot be decrypted.

        An index that another version made, or one with other keys, and one that is damaged, is deleted and begins anew.
        Raises Broken (`search.other_log`) for the index of another log and for another program's database, and
        Unavailable (`search.unavailable`).
        """
        wanted = (blind.check if blind is not None else "", VERSION, stretch_entries)
        for path in _paths(directory):
            if files.is_foreign(path):
                raise SEARCH_OTHER_LOG(
                    f"`{path.name}` in `{directory.name}` is another program's database and no search index: name "
                    "another directory"
                )
        if any(files.is_damaged(path) for path in _paths(directory)):
            delete_index(directory)
        whole, found = cls._begun(directory, origin, wanted)
        if found[0] != origin:
            whole.close()
            raise SEARCH_OTHER_LOG(
                f"the search index in `{directory.name}` is of another log: name another directory, or delete it"
            )
        if found[1:] != wanted or not cls._is_whole(directory, whole, stretch_entries):
            whole.close()
            delete_index(directory)
            whole, _ = cls._begun(directory, origin, wanted)
        return cls(directory, whole, blind, stretch_entries)

    @staticmethod
    def _begun(
        directory: Path, origin: str, wanted: tuple[str, int, int]
    ) -> tuple[sqlite3.Connection, tuple[str, str, int, int]]:
        """Return the file about the whole, and what the index was made with; a new one is made as wanted."""
        whole = files.opened(directory / WHOLE, WHOLE_SCHEMA)
        with files.faults("cannot open the search index"), files.transaction(whole):
            query = "SELECT origin, key, version, stretch FROM reached"
            row = whole.execute(query).fetchone()
            if row is None:
                whole.execute("INSERT INTO reached VALUES (?, 0, '', 0, 0, ?, ?, ?)", (origin, *wanted))
                row = whole.execute(query).fetchone()
        return whole, (str(row[0]), str(row[1]), int(row[2]), int(row[3]))

    @staticmethod
    def _is_whole(directory: Path, whole: sqlite3.Connection, stretch_entries: int) -> bool:
        """Whether every stretch that the position covers has its file."""
        (entries,) = whole.execute("SELECT entries FROM reached").fetchone()
        numbers = range(-(-entries // stretch_entries))
        return all((directory / _STRETCH.format(one)).exists() for one in numbers)

    def close(self) -> None:
        """Close the files. Idempotent."""
        with self._lock:
            for one in self._stretches.values():
                one.close()
            self._stretches.clear()
            self._whole.close()

    def is_in_place(self) -> bool:
        """Whether the directory has the open files, and not others or none."""
        return files.place_of(self._directory / WHOLE) == self._place

    def position(self) -> Position:
        entries, leaf = self._row("SELECT entries, leaf FROM reached")
        return Position(int(str(entries)), str(leaf))

    def reach(self) -> Reach:
        entries, at, happened = self._row("SELECT entries, at, happened FROM reached")
        return Reach(int(str(entries)), int(str(at)), bool(happened))

    def apply(self, batch: Sequence[Facts | Ended], before: Position, after: Position, *, at: int) -> bool:
        facts = [one for one in batch if isinstance(one, Facts)]
        self._unsettle()
        with self._lock, files.faults("cannot write the search index"), files.transaction(self._whole):
            # The whole's lock is held while the stretches are written, so that of two processes one waits.
            if self.position() != before:
                return False
            approvers, accounts = self._write_relations(facts)
            by_stretch: dict[int, tuple[list[Facts], list[Ended]]] = {}
            # Every stretch up to the position has a file, also one of entries that are not found by anything.
            for number in range(before.entries // self._stretch_entries, self._count(after.entries)):
                by_stretch[number] = ([], [])
            for one in batch:
                if isinstance(one, Facts):
                    by_stretch[one.entry // self._stretch_entries][0].append(one)
                else:
                    by_stretch.setdefault(one.intent // self._stretch_entries, ([], []))[1].append(one)
            for number, (entries, ends) in sorted(by_stretch.items()):
                self._stretch(number).write(entries, ends, self._added(entries))
            for stretch in map(self._stretch, range(self._count(after.entries))):
                for approval, person in approvers:
                    stretch.add_approver(approval, person)
                for lease, account in accounts:
                    stretch.add_account(lease, account)
            happened = any(one.tag not in NOT_OF_USE for one in facts)
            self._whole.execute(
                "UPDATE reached SET entries = ?, leaf = ?, at = ?, happened = max(happened, ?)",
                (after.entries, after.leaf, at, happened),
            )
        return True

    def subjects(self) -> Iterable[str]:
        return [row[0].hex() for row in self._rows("SELECT id FROM subject") if isinstance(row[0], bytes)]

    def forget(self, subjects: Iterable[str]) -> None:
        self._unsettle()
        with self._lock, files.faults("cannot write the search index"):
            stretches = [self._stretch(number) for number in self._numbers()]
            gone = [*subjects]
            for subject in gone:
                for one in stretches:
                    one.forget(subject)
                with files.transaction(self._whole):
                    self._whole.execute("DELETE FROM pseudonym WHERE instr(subject, ?) > 0", (subject,))
            # Whoever is still reading the write-ahead log keeps it; the subjects then remain to be forgotten.
            if all([*(one.emptied() for one in stretches), files.emptied(self._whole)]):
                with files.transaction(self._whole):
                    self._whole.executemany(
                        "DELETE FROM subject WHERE id = ?", [(bytes.fromhex(one),) for one in gone]
                    )

    def candidates(self, query: Query, after: Cursor | None) -> Iterator[Candidate]:
        found = [
            each
            for number in reversed(self._numbers())
            for each in self._stretch(number).candidates(query, after)
        ]
        last = None
        for candidate in heapq.merge(*found, key=lambda one: (-one.at, -one.entry)):
            if last is None or candidate.entry != last.entry:
                yield candidate
            last = candidate

    def tallies(self, query: Query, fields: Sequence[str]) -> Iterator[Tally]:
        for number in self._numbers():
            yield from self._stretch(number).tallies(query, fields)

    def corrected(self, intent: int) -> Sequence[int]:
        number = intent // self._stretch_entries
        return self._stretch(number).corrected(intent) if number in self._numbers() else ()

    def names(self, beginning: str) -> Sequence[str]:
        found = (one for number in self._numbers() for one in self._stretch(number).names(beginning))
        return list(dict.fromkeys(found))

    def pseudonyms(self, name: str) -> Sequence[str]:
        if self._blind is None:
            return ()
        query = "SELECT DISTINCT pseudonym FROM pseudonym WHERE name = ?"
        return [str(row[0]) for row in self._rows(query, (self._blind.digest("person", name),))]

    def approvers(self, approval: str) -> Sequence[str]:
        query = "SELECT person FROM approver WHERE approval = ?"
        return [str(row[0]) for row in self._rows(query, (approval,))] if approval else ()

    def accounts(self, lease: str) -> Sequence[str]:
        query = "SELECT account FROM account WHERE lease = ?"
        return [str(row[0]) for row in self._rows(query, (lease,))] if lease else ()

    def giver(self, mandate: str) -> int | None:
        rows = self._rows("SELECT entry FROM giver WHERE mandate = ?", (mandate,))
        return int(str(rows[0][0])) if rows else None

    def _unsettle(self) -> None:
        if self._is_settled:
            sums.unsettle(self._directory)
            self._is_settled = False

    def _write_relations(self, facts: Sequence[Facts]) -> tuple[list[tuple[str, str]], ...]:
        """Write what these entries say of other entries. Return what is new: who answered an approval, and the accounts
        of leases."""
        answered: list[tuple[str, str]] = []
        new: list[tuple[str, str]] = []
        run = self._whole.execute
        for one in facts:
            if self._blind is not None and (one.sealed or one.people):
                subjects = one.names.get("subject", ())
                for each in subjects:
                    run("INSERT OR IGNORE INTO subject VALUES (?)", (bytes.fromhex(each),))
                for pseudonym, name in one.people:
                    row = (self._blind.digest("person", name), pseudonym, " ".join(subjects))
                    run("INSERT OR IGNORE INTO pseudonym VALUES (?, ?, ?)", row)
            if one.tag == Tag.APPROVAL_ANSWER:
                for person in one.names.get("person", ()):
                    said = (one.one("approval"), person)
                    if run("INSERT OR IGNORE INTO approver VALUES (?, ?)", said).rowcount:
                        answered.append(said)
            if one.gives:
                run("INSERT OR IGNORE INTO giver VALUES (?, ?)", (one.gives, one.entry))
            if one.tag == Tag.LEASE and one.one("account") and one.one("lease"):
                pair = (one.one("lease"), one.one("account"))
                if run("INSERT OR IGNORE INTO account VALUES (?, ?)", pair).rowcount:
                    new.append(pair)
        return answered, new

    def _added(self, facts: Sequence[Facts]) -> Iterator[tuple[Facts, str, str]]:
        """Yield what earlier entries say of these."""
        for one in facts:
            if one.tag in OF_APPROVAL:
                for person in self.approvers(one.one("approval")):
                    yield one, "approver", person
            if one.tag in OF_LEASE:
                for account in self.accounts(one.one("lease")):
                    yield one, "account", account

    def _numbers(self) -> range:
        return range(self._count(self.position().entries))

    def _count(self, entries: int) -> int:
        """Return the number of stretches of so many entries."""
        return -(-entries // self._stretch_entries)

    def _stretch(self, number: int) -> Stretch:
        with self._lock:
            found = self._stretches.get(number)
            if found is None:
                path = self._directory / _STRETCH.format(number)
                found = self._stretches[number] = Stretch(path, self._blind)
            return found

    def _row(self, query: str) -> tuple[object, ...]:
        return self._rows(query)[0]

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        with self._lock, files.faults("cannot read the search index"):
            return self._whole.execute(query, values).fetchall()


def delete_index(directory: Path) -> None:
    """Delete the files of an index. Raises Unavailable (`search.unavailable`)."""
    for path in (*_paths(directory), directory / sums.SUMS):
        files.remove(path)


def discard_if_damaged(directory: Path) -> bool:
    """Delete an index that is not as it was left. Return whether it was deleted. For whoever holds its lock, before it
    is opened. Raises Unavailable (`search.unavailable`)."""
    is_damaged = sums.is_changed(directory, _paths(directory))
    if is_damaged:
        delete_index(directory)
    return is_damaged


def settle(directory: Path) -> None:
    """Note how an index is left. For whoever holds its lock, after it is closed."""
    sums.settle(directory, _paths(directory))


def _paths(directory: Path) -> list[Path]:
    return [directory / WHOLE, *sorted(directory.glob(_STRETCH.replace("{:05}", "*")))]
