"""Keep the search index of this process's log up to date and answer searches by it, in a process that does nothing
else."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from answerable.adapters.sqlite.search_index import SqliteSearchIndex
from answerable.adapters.sqlite.search_index.index import delete_index, discard_if_damaged, settle
from answerable.adapters.tlog_files import FollowedFiles
from answerable.errors import AnswerableError, Broken, Unavailable
from answerable.errors.codes.search import SEARCH_BEHIND, SEARCH_DAMAGED, SEARCH_OTHER_LOG
from answerable.flows.forensics.read_beside import BesideReader
from answerable.flows.forensics.search_ledger import catch_up, forget_erased
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.ports.search_process import IndexReach
from answerable.wiring.answers import WHOLE, Beside, answer
from answerable.wiring.index_lock import index_alone
from answerable.wiring.ledger_search import opened_keys, own_index, own_keys
from answerable.wiring.seen_accounts import SEEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answerable.adapters.sqlite import StoredSubjectKeys
    from answerable.core.search.blind import BlindKey
    from answerable.ports.search_process import A, Q, QuestionKind
    from answerable.wiring.setting_tree import Settings

BATCH_ENTRIES: Final = 1_000
"""Entries after which a search that waits gets its turn; they take about 0.1 s."""
REST_SECONDS: Final = 0.002
CATCH_UP_SECONDS_MAX: Final = 5.0
"""How long a search waits for the index: then it is answered with what there is, and says what is missing."""
SAID_SECONDS: Final = 60.0
OFFSETS: Final = "offsets"
"""Directory beside the index with where entries begin."""

_log: Final = logging.getLogger(__name__)


@contextmanager
def kept_index(settings: Settings) -> Iterator[KeptIndex]:
    """Open the index of the log with these settings, and hold it alone. Raises Malformed (`ledger.no_copy`,
    `search.keys`), Unavailable, and Broken as the log does."""
    directory = own_index(settings)
    with index_alone(directory):
        if discard_if_damaged(directory):
            _log.warning("the search index is damaged: it is made again")
        keys, blind = opened_keys(*own_keys(settings))
        try:
            log = FollowedFiles(settings.ledger.place, directory / OFFSETS, blind.place_check)
            kept = KeptIndex(log, keys, blind, directory, settings.data / SEEN)
            try:
                yield kept
            finally:
                kept.close()
                log.close()
                settle(directory)
        finally:
            keys.close()


class KeptIndex:
    """An index that follows its log. Created by `kept_index`; thread-safe: one batch or one search at a time."""

    def __init__(
        self, log: FollowedFiles, keys: StoredSubjectKeys, blind: BlindKey, directory: Path, seen: Path
    ) -> None:
        """seen: the file of accounts that were seen in logs."""
        self._log, self._keys, self._blind, self._directory = log, keys, blind, directory
        self._seen = seen
        self._turn = threading.Lock()
        self._index = self._opened()
        self._reader = self._reading()
        self._keys_seen = -1
        self._said: dict[str, float] = {}
        self._is_closed = self._is_damaged = False

    def close(self) -> None:
        """End what is under way after its batch, and close the files of the index."""
        self._is_closed = True
        with self._turn:
            self._index.close()

    def reach(self) -> IndexReach:
        """Return up to where the index is complete. Raises Unavailable."""
        with self._turn:
            return IndexReach(entries=self._index.position().entries)

    def follow(self, entries: int, *, seconds_max: float | None = None) -> None:
        """Bring the index up to this number of entries, which must be durable. What fails is logged, and tried again
        with the next call. seconds_max: end after this time, with the rest undone."""
        ends = None if seconds_max is None else time.monotonic() + seconds_max
        try:
            while not self._is_up_to(entries) and (ends is None or time.monotonic() < ends):
                # Others that wait for their turn get it here.
                time.sleep(REST_SECONDS)
        except AnswerableError as failed:
            self._say(failed)

    def ask(self, kind: QuestionKind[Q, A], question: Q) -> A:
        """Answer a question, of all entries that it names if they can be read in time.

        Raises as what answers it, Unavailable, and Broken as the log does: `search.behind` rather than leave any entry
        out where the kind is in `WHOLE`.
        """
        self.follow(question.entries, seconds_max=CATCH_UP_SECONDS_MAX)
        with self._its_turn():
            missing = question.entries - self._index.position().entries
            if kind in WHOLE and missing > 0:
                raise SEARCH_BEHIND(f"the index does not have {missing} later entries yet: ask again soon")
            self._forget_erased()
            teller = StoryTeller(
                self._index,
                self._log,
                self._keys.find,
                self._subject,
                self._reader,
                has_entries=question.within != "names",
            )
            return answer(kind, teller, question, Beside(self._seen))

    @property
    def blind(self) -> BlindKey:
        """The key of what is kept beside the ledger."""
        return self._blind

    @contextmanager
    def _its_turn(self) -> Iterator[None]:
        """Note damage that shows: the index is then made anew before the next answer."""
        with self._turn:
            try:
                yield
            except Unavailable as failed:
                self._is_damaged = self._is_damaged or failed.code == SEARCH_DAMAGED.id
                raise

    def _is_up_to(self, entries: int) -> bool:
        """Apply one batch of what is missing, and return whether nothing is."""
        with self._its_turn():
            if self._is_closed:
                return True
            if self._is_damaged or not self._index.is_in_place():
                why = "is damaged" if self._is_damaged else "was deleted while it was in use"
                _log.warning("the search index %s: it is made again", why)
                self._make_anew()
            done = self._index.position().entries
            self._log.reach(min(entries, done + BATCH_ENTRIES))
            try:
                catch_up(self._index, self._log, self._keys.find, reader=self._reader)
            except Broken as other:
                if other.code != SEARCH_OTHER_LOG.id:
                    # Perhaps the log does not have what was asked for: what it gets there is read the next time.
                    self._log.fall_back(self._index.position().entries)
                    raise
                _log.warning("the search index does not belong to this ledger: it is made again")
                self._make_anew()
            return self._index.position().entries >= entries

    def _make_anew(self) -> None:
        self._index.close()
        delete_index(self._directory)
        self._index = self._opened()
        self._reader = self._reading()
        self._is_damaged = False

    def _opened(self) -> SqliteSearchIndex:
        self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        origin = self._log.origin
        try:
            index = SqliteSearchIndex.open(self._directory, origin=origin, blind=self._blind)
        except Broken:
            # It is of a log that was here before, and nobody else's: the directory is the product's own.
            delete_index(self._directory)
            index = SqliteSearchIndex.open(self._directory, origin=origin, blind=self._blind)
        if index.is_made_again:
            _log.warning("the search index is damaged or of another version: it is made again")
        return index

    def _reading(self) -> BesideReader:
        """Return what reads what was declared once, for all searches by this index."""
        return BesideReader(self._index, self._log, self._keys.find)

    def _forget_erased(self) -> None:
        """Erase what is sealed under keys that were destroyed, if the keys have changed."""
        version = self._keys.version()
        if version == self._keys_seen:
            return
        ids = self._keys.ids()
        self._keys.forget_destroyed(ids)
        forget_erased(self._index, {one.hex() for one in ids})
        self._keys_seen = version

    def _subject(self, name: str) -> str:
        key = self._keys.known(name)
        return key.id.hex() if key is not None else ""

    def _say(self, failed: AnswerableError) -> None:
        """Log a failure, each code once a minute."""
        now = time.monotonic()
        if now - self._said.get(failed.code, -SAID_SECONDS) >= SAID_SECONDS:
            self._said[failed.code] = now
            _log.error("the search index cannot follow the ledger: %s", failed.message)
