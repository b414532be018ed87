"""The search index of one log: a file about the whole, and a file for each stretch of entries.

The files of the stretches are written first and the position last, each in a transaction of its own: after a crash the
batch is applied again, which changes nothing that is already there. Whose data there is stands in the file about the
whole before any of it, so that it can be erased after a crash, too.
"""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.search_index import files, marks, sums
from answerable.adapters.sqlite.search_index.schema import VERSION, WHOLE_SCHEMA
from answerable.adapters.sqlite.search_index.stretch import Stretch
from answerable.core.ledger.projected import Position
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import NOT_OF_USE, OF_APPROVAL, OF_LEASE, Facts
from answerable.errors import Unavailable
from answerable.errors.codes.search import SEARCH_DAMAGED, SEARCH_OTHER_LOG
from answerable.ports.search_index import Reach

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from answerable.core.search.accounts import AccountUse
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
        self._people: set[tuple[bytes, str, str]] = set()
        self._is_settled = True
        self.is_made_again = False
        """Whether `open` found another index than this one, and deleted it."""

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

        An index that another version made, or one with other keys, and one of whose files one is damaged, gone or not
        as it was left, is deleted and begins anew. Raises Broken (`search.other_log`) for the index of another log and
        for another program's database, and Unavailable (`search.unavailable`).
        """
        wanted = (blind.check if blind is not None else "", VERSION, stretch_entries)
        for path in _paths(directory):
            if files.is_foreign(path):
                raise SEARCH_OTHER_LOG(
                    f"`{path.name}` in `{directory.name}` is another program's database and no search index: name "
                    "another directory"
                )
        index = cls._found(directory, origin, blind, wanted)
        if index is None:
            delete_index(directory)
            whole, _ = cls._begun(directory, origin, wanted)
            index = cls(directory, whole, blind, stretch_entries)
            index.is_made_again = True
        return index

    @classmethod
    def _found(
        cls, directory: Path, origin: str, blind: BlindKey | None, wanted: tuple[str, int, int]
    ) -> SqliteSearchIndex | None:
        """Return the index that is there, or a new one; None for one to be deleted."""
        if any(files.is_damaged(path) for path in _paths(directory)):
            return None
        try:
            whole, made_with = cls._begun(directory, origin, wanted)
        except Unavailable as failed:
            if failed.code != SEARCH_DAMAGED.id:
                raise
            return None
        index = cls(directory, whole, blind, wanted[-1])
        if made_with[0] != origin:
            index.close()
            raise SEARCH_OTHER_LOG(
                f"the search index in `{directory.name}` is of another log: name another directory, or delete it"
            )
        if made_with[1:] == wanted and index._is_as_noted():
            return index
        index.close()
        return None

    @staticmethod
    def _begun(
        directory: Path, origin: str, wanted: tuple[str, int, int]
    ) -> tuple[sqlite3.Connection, tuple[str, str, int, int]]:
        """Return the file about the whole, and what the index was made with; a new one is made as wanted."""
        whole = files.opened(directory / WHOLE, WHOLE_SCHEMA)
        try:
            with files.faults("cannot open the search index"), files.transaction(whole):
                query = "SELECT origin, key, version, stretch FROM reached"
                row = whole.execute(query).fetchone()
                if row is None:
                    whole.execute("INSERT INTO reached VALUES (?, 0, '', 0, 0, ?, ?, ?)", (origin, *wanted))
                    row = whole.execute(query).fetchone()
        except BaseException:
            whole.close()
            raise
        return whole, (str(row[0]), str(row[1]), int(row[2]), int(row[3]))

    def _is_as_noted(self) -> bool:
        """Whether every stretch is there, and each as it was left. Closes the files if it raises."""
        try:
            with self._lock, files.faults("cannot open the search index"), files.transaction(self._whole):
                stretches = self._stretches_of(_numbers_in(self._directory))
                return marks.are_as_noted(self._whole, stretches, len(self._numbers()))
        except Unavailable as failed:
            if failed.code == SEARCH_DAMAGED.id:
                return False
            self.close()
            raise

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
        entries, leaf = self._rows("SELECT entries, leaf FROM reached")[0]
        return Position(int(str(entries)), str(leaf))

    def reach(self) -> Reach:
        entries, at, happened = self._rows("SELECT entries, at, happened FROM reached")[0]
        return Reach(int(str(entries)), int(str(at)), bool(happened))

    def apply(self, batch: Sequence[Facts | Ended], before: Position, after: Position, *, at: int) -> bool:
        facts = [one for one in batch if isinstance(one, Facts)]
        by_stretch = self._by_stretch(batch, before, after)
        self._unsettle()
        with self._lock, files.faults("cannot write the search index"):
            stretches = self._stretches_of(by_stretch.keys() | {*range(self._count(after.entries))})
            with files.transaction(self._whole):
                if self.position() != before:
                    return False
                self._write_subjects(facts)
                marks.prepare(self._whole, stretches)
            try:
                return self._applied(facts, by_stretch, stretches, before, after, at)
            except BaseException:
                self._people.clear()
                raise

    def _by_stretch(
        self, batch: Sequence[Facts | Ended], before: Position, after: Position
    ) -> dict[int, tuple[list[Facts], list[Ended]]]:
        # Every stretch up to the position has a file, also one of entries that are not found by anything.
        numbers = range(before.entries // self._stretch_entries, self._count(after.entries))
        found: dict[int, tuple[list[Facts], list[Ended]]] = {number: ([], []) for number in numbers}
        for one in batch:
            if isinstance(one, Facts):
                found[one.entry // self._stretch_entries][0].append(one)
            else:
                found.setdefault(one.intent // self._stretch_entries, ([], []))[1].append(one)
        return found

    def _applied(
        self,
        facts: Sequence[Facts],
        by_stretch: Mapping[int, tuple[list[Facts], list[Ended]]],
        stretches: Mapping[int, Stretch],
        before: Position,
        after: Position,
        at: int,
    ) -> bool:
        """Write a batch whose stretches have their next marks, and its position. Return False as `apply` does."""
        with files.transaction(self._whole):
            # The whole's lock is held while the stretches are written, so that of two processes one waits.
            if self.position() != before:
                return False
            approvers, accounts = self._write_relations(facts)
            for number, (entries, ends) in sorted(by_stretch.items()):
                stretches[number].write(entries, ends, self._added(entries))
            for stretch in stretches.values():
                for approval, person in approvers:
                    stretch.add_approver(approval, person)
                for lease, account in accounts:
                    stretch.add_account(lease, account)
            marks.note(self._whole, stretches)
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
        self._people.clear()
        with self._lock, files.faults("cannot write the search index"):
            stretches = self._stretches_of(_numbers_in(self._directory))
            with files.transaction(self._whole):
                marks.prepare(self._whole, stretches)
            gone = [*subjects]
            for subject in gone:
                for one in stretches.values():
                    one.forget(subject)
                with files.transaction(self._whole):
                    self._whole.execute("DELETE FROM pseudonym WHERE instr(subject, ?) > 0", (subject,))
            with files.transaction(self._whole):
                marks.note(self._whole, stretches)
            # Whoever is still reading the write-ahead log keeps it; the subjects then remain to be forgotten.
            if all([*(one.emptied() for one in stretches.values()), files.emptied(self._whole)]):
                with files.transaction(self._whole):
                    self._whole.executemany(
                        "DELETE FROM subject WHERE id = ?", [(bytes.fromhex(one),) for one in gone]
                    )

    def candidates(
        self, query: Query, after: Cursor | None, *, oldest_first: bool = False
    ) -> Iterator[Candidate]:
        found = [
            each
            for number in reversed(self._numbers())
            for each in self._stretch(number).candidates(query, after, oldest_first=oldest_first)
        ]
        last = None
        for candidate in heapq.merge(*found, key=lambda one: (one.at, one.entry), reverse=not oldest_first):
            if last is None or candidate.entry != last.entry:
                yield candidate
            last = candidate

    def tallies(self, query: Query, fields: Sequence[str]) -> Iterator[Tally]:
        for number in self._numbers():
            yield from self._stretch(number).tallies(query, fields)

    def account_uses(self, *, target: str = "", name: str = "") -> Iterator[AccountUse]:
        for number in self._numbers():
            yield from self._stretch(number).account_uses(target, name)

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

    def _write_subjects(self, facts: Sequence[Facts]) -> None:
        """Write the ids of the keys of whom these entries have anything sealed."""
        ids = (
            (bytes.fromhex(each),)
            for one in facts
            if self._blind is not None and (one.sealed or one.people)
            for each in one.names.get("subject", ())
        )
        self._whole.executemany("INSERT OR IGNORE INTO subject VALUES (?)", ids)

    def _write_relations(self, facts: Sequence[Facts]) -> tuple[list[tuple[str, str]], ...]:
        """Write what these entries say of other entries. Return what is new: who answered an approval, and the accounts
        of leases."""
        answered: list[tuple[str, str]] = []
        new: list[tuple[str, str]] = []
        run = self._whole.execute
        for one in facts:
            if self._blind is not None:
                for pseudonym, name in one.people:
                    subjects = " ".join(one.names.get("subject", ()))
                    row = (self._blind.digest("person", name), pseudonym, subjects)
                    if row not in self._people:
                        run("INSERT OR IGNORE INTO pseudonym VALUES (?, ?, ?)", row)
                        self._people.add(row)
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
        return -(-entries // self._stretch_entries)

    def _stretches_of(self, numbers: Iterable[int]) -> dict[int, Stretch]:
        return {number: self._stretch(number) for number in sorted(numbers)}

    def _stretch(self, number: int) -> Stretch:
        with self._lock:
            found = self._stretches.get(number)
            if found is None:
                path = self._directory / _STRETCH.format(number)
                found = self._stretches[number] = Stretch(path, self._blind)
            return found

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        with self._lock, files.faults("cannot read the search index"):
            return self._whole.execute(query, values).fetchall()


def delete_index(directory: Path) -> None:
    """Delete the files of an index. Raises Unavailable (`search.unavailable`)."""
    for path in (*_paths(directory), directory / sums.SUMS):
        files.remove(path)


def discard_if_damaged(directory: Path) -> bool:
    """Delete an index that is not as it was left, or of a killed process and inconsistent. Return whether it was
    deleted. For whoever holds its lock, before it is opened. Raises Unavailable (`search.unavailable`)."""
    paths = _paths(directory)
    if sums.are_there(directory):
        is_damaged = sums.is_changed(directory, paths)
    else:
        is_damaged = not any(map(files.is_foreign, paths)) and not all(map(files.is_consistent, paths))
    if is_damaged:
        delete_index(directory)
    return is_damaged


def settle(directory: Path) -> None:
    """Note how an index is left. For whoever holds its lock, after it is closed."""
    sums.settle(directory, _paths(directory))


def _numbers_in(directory: Path) -> set[int]:
    names = (path.stem.rpartition("-")[2] for path in _paths(directory)[1:])
    return {int(one) for one in names if one.isdecimal()}


def _paths(directory: Path) -> list[Path]:
    return [directory / WHOLE, *sorted(directory.glob(_STRETCH.replace("{:05}", "*")))]
