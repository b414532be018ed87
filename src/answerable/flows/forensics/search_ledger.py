"""Search the ledger: bring the index up to the log, ask it, and confirm each hit by opening its entry."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.ledger.opened import fields_to_index, leaf_of
from answerable.core.ledger.projected import Position
from answerable.core.search.facts import ENDS, WANTED, WITH_REQUEST, ended_of, facts_of, key_ids_of
from answerable.core.search.hit import Hit
from answerable.core.search.matching import Joined, matches, resolved
from answerable.core.search.query import Cursor
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.search import SEARCH_DAMAGED, SEARCH_OTHER_LOG
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.forensics.read_beside import BesideReader

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.search.facts import Ended, Facts
    from answerable.core.search.query import Query
    from answerable.ports.search_index import Candidate, SearchIndex
    from answerable.ports.stored_log import LogSnapshot

BATCH_ENTRIES: Final = 5_000
"""Entries written in one transaction; bounds the memory used."""
CANDIDATES_MAX: Final = 20_000
"""Entries that one search opens. A page for which that was not enough is short, and its cursor continues there."""
SEALED_LOOKED_AT_MAX: Final = 100_000
"""Entries in which something is looked for that the keys at hand open."""

_DECODER: Final = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class HitPage:
    """The answer to a search. next: cursor of the page after this; empty where there is none. log: its origin. entries,
    at: the answer is complete up to this number of entries, and the time of the last of them. happened: False where the
    log has nothing yet that could be found."""

    hits: tuple[Hit, ...]
    next: str
    log: str
    entries: int
    at: int
    happened: bool


def catch_up(
    index: SearchIndex,
    log: LogSnapshot,
    find: FindKey,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    reader: BesideReader | None = None,
) -> None:
    """Bring the index up to the end of the log.

    progress: is called with the entries applied and their total. reader: of these three, where one is kept. Raises
    Broken (`search.other_log`) where the index contains more than the log has, or something else; Unavailable, and
    Broken as the log does.
    """
    _check_fence(index.position(), log)
    reader = reader or BesideReader(index, log, find)
    while (before := index.position()).entries < log.size:
        reader.refresh()
        for batch, after, at in _batches(before.entries, reader):
            if not index.apply(batch, before, after, at=at):
                break
            reader.applied()
            before = after
            progress(after.entries, log.size)


def forget_erased(index: SearchIndex, key_ids: Container[str]) -> None:
    """Erase from the index what is sealed under keys that were destroyed. key_ids: of all keys that there are, hex. A
    key that cannot be read now is not destroyed. Raises Unavailable."""
    gone = [one for one in index.subjects() if one not in key_ids]
    if gone:
        index.forget(gone)


def opens_anything(log: LogSnapshot, key_ids: Container[bytes]) -> bool:
    """Whether one of these keys is that of something sealed in a log, or the log has nothing sealed. Only the first
    entries are looked at: the registry is among them. Raises Unavailable and Broken as the log does."""
    is_sealed = False
    for stored in islice(log.replay(), SEALED_LOOKED_AT_MAX):
        for one in key_ids_of(stored.attachment):
            if one in key_ids:
                return True
            is_sealed = True
    return not is_sealed


def search_ledger(
    index: SearchIndex,
    log: LogSnapshot,
    find: FindKey,
    query: Query,
    *,
    limit: int,
    after: Cursor | None = None,
    subject: Callable[[str], str] = lambda name: "",
    candidates_max: int = CANDIDATES_MAX,
    reader: BesideReader | None = None,
) -> HitPage:
    """Return the entries that match, newest first.

    subject: returns the id of the key of a data subject, hex; empty for one without a key. candidates_max: how many
    entries are opened at most. reader: of the first three, where one is kept. Raises Unavailable and Broken as the
    index and the log do.
    """
    reader = reader or BesideReader(index, log, find)
    reader.refresh()
    wanted = resolved(query, pseudonyms=index.pseudonyms, subject=subject)
    reach = index.reach()
    hits: list[Hit] = []
    following = ""
    for number, candidate in enumerate(index.candidates(wanted, after), 1):
        hit = confirmed(reader, wanted, candidate)
        if hit is None:
            if number < candidates_max:
                continue
            following = Cursor(candidate.at, candidate.entry).formatted()
            break
        if len(hits) == limit:
            following = Cursor(hits[-1].facts.at, hits[-1].facts.entry).formatted()
            break
        hits.append(hit)
    return HitPage(
        hits=tuple(hits),
        next=following,
        log=log.origin,
        entries=reach.entries,
        at=reach.at,
        happened=reach.happened,
    )


def _check_fence(before: Position, log: LogSnapshot) -> None:
    is_cut = before.entries > log.size
    if is_cut or (before.entries and log.entry(before.entries - 1).leaf_hash.hex() != before.leaf):
        raise SEARCH_OTHER_LOG(
            "the search index contains entries that this log does not have: the log was cut or is another one; "
            "delete the index, and it is made again"
        )


def _batches(start: int, reader: BesideReader) -> Iterator[tuple[list[Facts | Ended], Position, int]]:
    batch: list[Facts | Ended] = []
    last, at = None, 0
    for last in reader.log.replay(start):
        one = _read(last, reader)
        if one is not None:
            batch.append(one)
            at = one.at
        if (last.index + 1 - start) % BATCH_ENTRIES == 0:
            yield batch, Position(last.index + 1, last.leaf_hash.hex()), at
            batch, last = [], None
    if last is not None:
        yield batch, Position(last.index + 1, last.leaf_hash.hex()), at


def _read(stored: StoredEntry, reader: BesideReader) -> Facts | Ended | None:
    """Return what the index stores of an entry; None for nothing. The leaf is only decoded here: that of a hit is read
    again by the strict parser."""
    leaf = _DECODER.decode(stored.leaf)
    if stored.tag in ENDS:
        return ended_of(stored, leaf)
    reader.note(stored, leaf)
    wanted = WANTED | {"request"} if stored.tag in WITH_REQUEST else WANTED
    fields = fields_to_index(stored, leaf, reader.find, wanted)
    return facts_of(stored, leaf, fields, reader.beside(stored, leaf))


def confirmed(reader: BesideReader, query: Query, candidate: Candidate) -> Hit | None:
    """Return the entry, opened, if it meets the search. query: as `resolved` returns it. Raises as the log does."""
    hit = opened_hit(reader, candidate.entry, candidate.ended)
    facts, index = hit.facts, reader.index
    joined = Joined(
        facts, hit.ended, index.approvers(facts.one("approval")), index.accounts(facts.one("lease"))
    )
    return hit if matches(query, joined) else None


def opened_hit(reader: BesideReader, entry: int, ended: int | None) -> Hit:
    """Return one entry, opened. ended: the entry that says how the intent ended; None for none. Raises as the log
    does."""
    stored = named_entry(reader.log, entry)
    moment = opened_moment(stored, reader.find)
    facts = facts_of(stored, moment.leaf, moment.payload, reader.beside(stored, moment.leaf, named=True))
    if ended is None:
        return Hit(facts=facts, ended=None, moment=moment)
    end = named_entry(reader.log, ended)
    told = ended_of(end, leaf_of(end)) if end.tag in ENDS else None
    if told is None or told.intent != entry:
        raise _damaged(f"it says that entry {entry} ended with entry {ended}")
    return Hit(facts=facts, ended=told, moment=moment)


def named_entry(log: LogSnapshot, entry: int) -> StoredEntry:
    """Return an entry that the index names. Raises Unavailable (`search.damaged`) for one that the log does not have,
    and as the log does."""
    try:
        return log.entry(entry)
    except Malformed:
        raise _damaged(f"it names entry {entry}, which the log does not have") from None


def _damaged(why: str) -> Unavailable:
    return SEARCH_DAMAGED(f"the search index is damaged: {why}; delete it, and it is made anew")
