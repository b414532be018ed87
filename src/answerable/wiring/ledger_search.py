"""Search a ledger's directory, or a copy of one, without a server: with the subject keys, or its leaves alone."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite import StoredSubjectKeys
from answerable.adapters.sqlite.search_index import SqliteSearchIndex
from answerable.adapters.sqlite.search_index.index import delete_index, discard_if_damaged, settle
from answerable.adapters.system import SystemEntropy
from answerable.adapters.tlog_files import StoredFiles
from answerable.core.search.blind import BlindKey
from answerable.core.search.matching import sealed_fields
from answerable.core.search.names import SEALED_KINDS
from answerable.errors import Unavailable, shown
from answerable.errors.codes.ledger import LEDGER_NO_COPY, LEDGER_NO_ENTRY, REGISTER_UNAVAILABLE
from answerable.errors.codes.search import SEARCH_DAMAGED, SEARCH_KEYS, SEARCH_OTHER_KEYS
from answerable.errors.codes.services import CONTROL_NO_DATA
from answerable.flows.forensics.search_ledger import (
    catch_up,
    forget_erased,
    opens_anything,
)
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.ports.search_process import QUESTION_SECONDS_MAX
from answerable.wiring.index_lock import index_alone
from answerable.wiring.ledger_copy import PublishedCopy
from answerable.wiring.seen_accounts import SEEN, seen_accounts
from answerable.wiring.subject_keys import ROOT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.core.search.query import Query
    from answerable.ports.stored_log import LogSnapshot
    from answerable.wiring.setting_tree import Settings

INDEX: Final = "index"
"""Directory of the search indexes in the data directory, with one directory for each log."""
KEYS: Final = Path("subject-keys.db")
ROOT_KEY: Final = Path("keys", "subjects.key")
SHARED_BYTES: Final = 32_768
"""Size of the smallest file by which SQLite's processes share a database; a disk without room leaves a shorter one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlaces:
    """What is searched. ledger: directory of one log. keys: the file of the subject keys, and that of their root key;
    None for leaves alone. index: where the index is stored; None for a temporary one. is_own: of a data directory,
    where no ledger means that nothing has happened yet. wait_seconds_max: for another process that has the index. seen:
    the file of accounts that were seen in logs; None for none."""

    ledger: Path
    keys: tuple[Path, Path] | None
    index: Path | None
    is_own: bool = False
    wait_seconds_max: float = QUESTION_SECONDS_MAX
    seen: Path | None = None


@dataclass(frozen=True, slots=True)
class Searching:
    """An index that is up to date with a log. is_of_nothing: before a server has begun the log."""

    index: SqliteSearchIndex
    log: LogSnapshot
    keys: StoredSubjectKeys | None
    is_of_nothing: bool = False

    def sealed(self, query: Query, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the fields of a question whose sealed values cannot be compared, as no keys are at hand. names: bare
        ones."""
        if self.keys is not None or self.is_of_nothing:
            return ()
        return tuple(dict.fromkeys((*sealed_fields(query), *(SEALED_KINDS if names else ()))))

    def teller(self, *, has_entries: bool = True) -> StoryTeller:
        """Return what tells stories by this index. has_entries: whether a number names an entry."""
        return StoryTeller(self.index, self.log, self.find, self._subject, has_entries=has_entries)

    def find(self, key_id: bytes) -> SubjectKey | None:
        """Return the key of this id; None where it was destroyed, or where no keys are at hand."""
        return self.keys.find(key_id) if self.keys is not None else None

    def _subject(self, name: str) -> str:
        key = self.keys.known(name) if self.keys is not None else None
        return key.id.hex() if key is not None else ""


def places_of_copy(
    ledger: Path, keys: Path | None, index: Path | None, seen: Path | None = None
) -> SearchPlaces:
    """Return the places for a ledger's directory. keys: a data directory, or a copy of one; None for leaves alone.
    seen: accounts that were seen in logs. Raises Malformed (`attribute.seen`) where that has none."""
    found = (keys / KEYS, keys / ROOT_KEY) if keys is not None else None
    if seen is not None:
        seen_accounts(seen, is_needed=True)
    return SearchPlaces(ledger=ledger, keys=found, index=index, seen=seen)


def own_places(settings: Settings) -> SearchPlaces:
    """Return the places of the process with these settings. Raises Unavailable (`control.no_data`)."""
    if not settings.data.is_dir():
        raise CONTROL_NO_DATA(
            f"there is no data directory {shown(settings.data)}: begin with `answerable apply` or `answerable up`, or "
            "name another with --data"
        )
    return SearchPlaces(
        ledger=settings.ledger.place,
        keys=own_keys(settings),
        index=own_index(settings),
        is_own=True,
        seen=settings.data / SEEN,
    )


def own_keys(settings: Settings) -> tuple[Path, Path]:
    """Return the file of the subject keys and that of their root key."""
    return settings.registers.subject_keys, settings.data / ROOT_KEY


def own_index(settings: Settings) -> Path:
    """Return the directory of the index of this process's log."""
    return settings.data / INDEX / settings.ledger.place.name


@contextmanager
def searching(
    places: SearchPlaces, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Iterator[Searching]:
    """Open everything, bring the index up to the log, erase what is sealed under keys that were destroyed, and close it
    all at the end. Only the index is written.

    Two commands that search on one index at once do so one after the other. An index that is not as it was left is made
    anew; one whose damage shows while it is read is deleted. Raises Malformed (`ledger.no_copy`,
    `search.keys`, `search.other_keys`), Unavailable (`search.*`, `search.locked` among them), and Broken as `catch_up`.
    """
    with ExitStack() as stack:
        if places.is_own and not places.ledger.exists():
            empty = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="answerable-index-")))
            index = SqliteSearchIndex.open(empty, origin="", blind=None)
            stack.callback(index.close)
            yield Searching(index, _NoLog(), None, is_of_nothing=True)
            return
        keys, blind = None, None
        if places.keys is not None:
            keys, blind = stack.enter_context(keys_to_read(*places.keys))
        directory = places.index
        if directory is None:
            # Within it, for its lock is beside the index.
            passing = stack.enter_context(tempfile.TemporaryDirectory(prefix="answerable-index-"))
            directory = Path(passing) / "index"
        stack.enter_context(_kept_whole(directory, places.wait_seconds_max))
        # Not before: the index must not be ahead of it.
        log = _snapshot(places)
        if places.keys is not None and keys is not None:
            # Before the index is opened, which would be made anew for other keys.
            _check_keys(places.keys[0], log, keys)
        index = SqliteSearchIndex.open(directory, origin=log.origin, blind=blind)
        stack.callback(index.close)
        found = Searching(index, log, keys)
        catch_up(index, log, found.find, progress=progress)
        if keys is not None:
            forget_erased(index, {one.hex() for one in keys.ids()})
        yield found


@contextmanager
def opened_log(
    ledger: Path, data: Path
) -> Iterator[tuple[LogSnapshot, Callable[[bytes], SubjectKey | None]]]:
    """Yield a log and what finds its keys, without an index. data: the directory with the keys, or a copy. Raises
    Malformed (`ledger.no_copy`, `search.keys`, `search.other_keys`), Broken and Unavailable."""
    with keys_to_read(data / KEYS, data / ROOT_KEY) as (keys, _):
        log = _snapshot(places_of_copy(ledger, data, None))
        _check_keys(data / KEYS, log, keys)
        yield log, keys.find


def _check_keys(database: Path, log: LogSnapshot, keys: StoredSubjectKeys) -> None:
    if not opens_anything(log, keys.ids()):
        raise SEARCH_OTHER_KEYS(
            f"the subject keys in {shown(database.parent)} open nothing of this log: they are of another one, or what "
            "they sealed in it was erased"
        )


@contextmanager
def _kept_whole(directory: Path, wait_seconds_max: float) -> Iterator[None]:
    """Hold an index alone, whole at the beginning and noted as it is left at the end. Raises Unavailable (`search.*`).

    Raises Unavailable (`search.damaged`) with what to do where the block found damage.
    """
    with index_alone(directory, wait_seconds_max=wait_seconds_max):
        discard_if_damaged(directory)
        try:
            yield
        except Unavailable as failed:
            if failed.code != SEARCH_DAMAGED.id:
                raise
            delete_index(directory)
            why = failed.message.removesuffix("; delete it, and it is made anew")
            raise SEARCH_DAMAGED(f"{why}; it was deleted: ask again, and it is made anew") from None
        settle(directory)


class _NoLog:
    """A log that has not begun; implements ports.stored_log.LogSnapshot."""

    origin: Final = ""
    size: Final = 0

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        """Return nothing."""
        return iter(())

    def entry(self, index: int) -> StoredEntry:
        """Raises Malformed (`ledger.no_entry`)."""
        raise LEDGER_NO_ENTRY(f"there is no entry {index}: nothing has happened yet")


def _snapshot(places: SearchPlaces) -> LogSnapshot:
    if places.keys is None:
        return PublishedCopy(places.ledger)
    found = StoredFiles(places.ledger).snapshot()
    if found is None:
        raise LEDGER_NO_COPY(
            f"there is no ledger in {shown(places.ledger)}: expected a directory with `log.pub` and the folder `wal`; "
            "of several shards, name one with --ledger"
        )
    return found


@contextmanager
def keys_to_read(database: Path, root: Path) -> Iterator[tuple[StoredSubjectKeys, BlindKey]]:
    """Open existing keys as they are now, and close them at the end.

    SQLite writes beside a database to read it, so on read-only media or a full disk a temporary copy is read, where no
    other process has the database open. Raises as `opened_keys`.
    """
    memory = _beside(database, "-shm")
    is_open = memory.is_file() and memory.stat().st_size >= SHARED_BYTES
    with ExitStack() as stack:
        try:
            keys, blind = opened_keys(database, root)
        except Unavailable as failed:
            if failed.code != REGISTER_UNAVAILABLE.id or is_open:
                raise
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="answerable-keys-"))
            keys, blind = opened_keys(_copied(database, Path(place)), root)
        stack.callback(keys.close)
        yield keys, blind


def _copied(database: Path, place: Path) -> Path:
    """Copy a database that nobody writes, with what is only in its write-ahead log, and return the copy."""
    for one in (database, _beside(database, "-wal")):
        if one.is_file():
            shutil.copyfile(one, place / one.name)
    return place / database.name


def _beside(database: Path, end: str) -> Path:
    return database.with_name(f"{database.name}{end}")


def opened_keys(database: Path, root: Path) -> tuple[StoredSubjectKeys, BlindKey]:
    """Open existing keys, for reading. Raises Malformed (`search.keys`) where there are none, and Unavailable."""
    if not database.is_file() or not root.is_file():
        raise SEARCH_KEYS(
            f"there are no subject keys in {shown(database.parent)}: expected `{database.name}` and "
            f"`{root.parent.name}/{root.name}`"
        )
    secret = open_or_create_secret(root, count=ROOT_BYTES, entropy=SystemEntropy())
    return StoredSubjectKeys.open_beside(database, root=secret), BlindKey(secret)
