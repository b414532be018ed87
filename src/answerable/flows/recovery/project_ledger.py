"""Bring the registers up to the ledger at start (event-sourcing projection), before any listener opens.

At a start the registers are brought up to the last entry of each log, or nothing starts. While the product runs, each
flow writes to its register what it recorded. This reader follows and only advances the positions if the rows match the
entries. If they do not match, the position stays and the next start brings them up.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.ledger.opened import keys_gone, leaf_of, payload_of
from answerable.core.ledger.projected import (
    KEY_GONE,
    START,
    WORLD_TAGS,
    Position,
    Told,
    World,
    documents_digest_of,
)
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.documents import PRINCIPAL
from answerable.errors import Broken, shown
from answerable.errors.codes.ledger import LEDGER_ENTRIES_MISSING, REGISTER_BEYOND_LEDGER, REGISTER_DOCUMENTS
from answerable.ports.projection import LeftOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.ports.projection import Difference, Projections

ENTRIES_AT_ONCE: Final = 5_000
"""Entries applied in one transaction; bounds the memory used."""
OLDER_MS: Final = 60_000
"""Time between the first and the last missing entry above which the registers are an older copy: positions advance much
more often."""
WORLDS_AT_ONCE: Final = 200
"""Changes of documents or passkeys in one transaction; each stores a table of all documents."""
NAMED_MAX: Final = 10
"""Rows that an error names; the rest are counted."""


class Log(NamedTuple):
    """A log to read. `entries`: iterates from an index on. `until`: `at` of the first entry of another process's log
    that the process may still be writing to its registers; None for a log that nobody writes now."""

    origin: str
    entries: Callable[[int], Iterator[StoredEntry]]
    until: int | None = None


@dataclass(slots=True, kw_only=True)
class CaughtUp:
    """What a start did to the registers.

    `rows`: rows that the registers lacked, by register. `mended`: rows that differed from the ledger, though this
    product did not write them. `left_out`: content of entries that does not count. `damaged`: documents that could not
    be read and were rebuilt. `recalled`: other registers changed by foreign writes, to be rebuilt from the whole
    ledger or made anew.
    """

    rows: Counter[str] = field(default_factory=Counter)
    mended: list[Difference] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    recalled: list[str] = field(default_factory=list)


def catch_up(
    registers: Projections, logs: Sequence[Log], find: FindKey, *, is_complete: bool = True
) -> CaughtUp:
    """Bring the registers up to the last entry of each log. For the start of a process, before the registers are read.

    `logs`: this process's log first. `is_complete`: no log is missing; otherwise rows beyond these logs cannot be
    judged.

    Raises Broken: `ledger.entries_missing` if a register knows more than a log, `register.beyond_ledger` for rows
    without an entry, `register.documents` if the documents differ from their last recorded change. Raises Unavailable.
    """
    done = CaughtUp()
    # Before this process writes: until the registers match again, its own writes leave marks, too.
    done.recalled += registers.altered()
    done.damaged += registers.damaged_documents()
    if done.damaged:
        # First, because everything else is verified with keys that the documents name.
        if not is_complete:
            raise _unreadable(done.damaged, "not every log can be read from which it is made again")
        whole = [log._replace(until=None) for log in logs]
        _compare(registers, whole, find, done, by_others=bool(registers.touched()))
    touched = registers.touched()
    _project(registers, logs, find, done)
    if is_complete and (touched or not _are_documents_as_told(registers, logs)):
        # Include what another process is about to write to the registers: it is in a log.
        whole = [log._replace(until=None) for log in logs]
        _compare(registers, whole, find, done, by_others=bool(touched))
    # After everything that passkeys verify: foreign rows are gone by then.
    registers.emptied(done.recalled, logs[0].origin)
    return done


def confirm(registers: Projections, log: Log, find: FindKey) -> bool:
    """Advance the positions to the last entry if the registers match the entries. Return whether they match.

    Raises Unavailable, and Broken as `catch_up`.
    """
    reading = _Reading(registers, (log,), find)
    told = list(reading)
    return not reading.reached or registers.confirm(told, reading.reached)


def _project(registers: Projections, logs: Sequence[Log], find: FindKey, done: CaughtUp) -> _Reading:
    reading = _Reading(registers, logs, find)
    batch: list[Told] = []
    for told in reading:
        batch.append(told)
        if len(batch) >= ENTRIES_AT_ONCE or reading.worlds >= WORLDS_AT_ONCE:
            _flush(registers, batch, reading, done)
    _flush(registers, batch, reading, done)
    return reading


def _flush(registers: Projections, batch: list[Told], reading: _Reading, done: CaughtUp) -> None:
    # After a crash only the last moments are missing. A longer gap means an older copy was restored.
    is_older = bool(batch) and not reading.is_whole and batch[-1].at - batch[0].at > OLDER_MS
    flushed = registers.flush(batch, reading.reached, is_older=is_older)
    done.rows.update(flushed.rows)
    done.left_out += flushed.left_out
    reading.worlds = 0
    batch.clear()


class _Wanted(NamedTuple):
    """An entry that a register reads. `counts`: whether the position moves past it."""

    at: int
    log: str
    stored: StoredEntry
    leaf: dict[str, JSONValue]
    counts: bool


class _Reading:
    """Reads the entries that registers need, of all logs in time order.

    `is_whole`: everything is read. `reached`: position reached in each log. `worlds`: changes of keys read since it was
    last reset to 0. `unopened`: document changes that are not sealed for a person and cannot be read. `closed`:
    documents of people whose key was destroyed, by key id.
    """

    def __init__(self, registers: Projections, logs: Sequence[Log], find: FindKey) -> None:
        self._registers, self._logs, self._find = registers, logs, find
        self._places = {log.origin: registers.positions(log.origin) for log in logs}
        # If positions differ, only a read from the beginning tells which keys were valid at each entry.
        self.is_whole = any(len({one.entries for one in p.values()}) != 1 for p in self._places.values())
        self._world = World({}, {}) if self.is_whole else registers.world()
        self.reached: dict[str, Position] = {}
        self.worlds = self.unopened = 0
        self.closed: dict[str, LeftOut] = {}

    def __iter__(self) -> Iterator[Told]:
        merged = heapq.merge(*(self._wanted(log) for log in self._logs), key=lambda one: one.at)
        for _, log, stored, leaf, counts in merged:
            fields, leaf_hash = payload_of(stored, leaf, self._find), stored.leaf_hash.hex()
            yield Told(
                log=log,
                index=stored.index,
                leaf_hash=leaf_hash,
                tag=stored.tag,
                leaf=leaf,
                fields=fields,
                world=self._world,
            )
            if counts:
                self.reached[log] = Position(stored.index + 1, leaf_hash)
            if stored.tag == Tag.REGISTRY_CHANGE:
                self._note_closed(log, stored, leaf, fields)
            if stored.tag in WORLD_TAGS:
                self._world = self._world.after(stored.tag, leaf, fields)
                self.worlds += 1

    def _note_closed(
        self,
        log: str,
        stored: StoredEntry,
        leaf: dict[str, JSONValue],
        fields: dict[str, JSONValue] | None,
    ) -> None:
        if "changes" not in (fields or {}):
            self.unopened += 1
            return
        for key in keys_gone(stored, leaf, self._find):
            said = LeftOut("documents", f"of the person of key {key}", log, stored.index, KEY_GONE)
            self.closed.setdefault(key, said)

    def _wanted(self, log: Log) -> Iterator[_Wanted]:
        places = self._places[log.origin]
        fences = {one.entries: (name, one.leaf) for name, one in places.items() if one.entries}
        start = 0 if self.is_whole else next(iter(places.values())).entries
        last, is_young = None, False
        for stored in log.entries(max(start - 1, 0)):
            _check_fence(log, fences.pop(stored.index + 1, None), stored)
            if stored.index >= start and self._registers.wants(stored):
                leaf = leaf_of(stored)
                at = leaf.get("at")
                when = at if isinstance(at, int) else 0
                is_young = is_young or (log.until is not None and when >= log.until)
                # Leave what the log's own process is writing now to that process, except ends of mandates.
                if not is_young or stored.tag == Tag.MANDATE_CLOSED:
                    yield _Wanted(when, log.origin, stored, leaf, counts=not is_young)
            last = stored if not is_young else last
        for name, _ in fences.values():
            raise _missing(log, name)
        if last is not None and last.index >= start:
            self.reached[log.origin] = Position(last.index + 1, last.leaf_hash.hex())


def _check_fence(log: Log, fence: tuple[str, str] | None, stored: StoredEntry) -> None:
    if fence is not None and fence[1] != stored.leaf_hash.hex():
        raise _missing(log, fence[0])


def _missing(log: Log, register: str) -> Broken:
    return LEDGER_ENTRIES_MISSING(
        f"register {shown(register)} contains an entry that log {shown(log.origin)} does not "
        "have: the log was cut or replaced by an older copy; restore the log that belongs to "
        "these registers"
    )


def _are_documents_as_told(registers: Projections, logs: Sequence[Log]) -> bool:
    """Whether the documents match their last recorded change, in whichever log."""
    wanted = _last_change(registers, logs)
    return documents_digest_of(registers.world().documents) in wanted


def _last_change(registers: Projections, logs: Sequence[Log]) -> tuple[str, ...]:
    """Return the digest of the documents after their last change."""
    changes: list[tuple[int, str]] = []
    for log in logs:
        last = registers.positions(log.origin).get("documents", START).last
        stored = next(log.entries(last), None) if last >= 0 else None
        if stored is None or stored.tag != Tag.REGISTRY_CHANGE:
            continue
        leaf = leaf_of(stored)
        at = leaf.get("at")
        changes.append((at if isinstance(at, int) else 0, str(leaf.get("after"))))
    return (max(changes)[1],) if changes else (documents_digest_of({}),)


def _compare(
    registers: Projections, logs: Sequence[Log], find: FindKey, done: CaughtUp, *, by_others: bool
) -> None:
    """Rebuild everything from the whole ledger, and repair rows that differ.

    `by_others`: whether something other than this product has written the registers.
    """
    with registers.rebuilding() as told:
        made = CaughtUp()
        reading = _project(told, logs, find, made)
        gone = [one for one in made.left_out if one.code == KEY_GONE]
        found, is_closed = [*told.differences()], False
        if not _are_documents_as_told(told, logs):
            if done.damaged:
                is_kept = _are_mended_as_told(registers, told, logs, done.damaged)
            else:
                is_kept = _are_documents_as_told(registers, logs)
            if is_kept:
                # A person's document cannot be opened any more, but the stored documents are the applied ones.
                found = [
                    one
                    for one in found
                    if one.register != "documents" or (_is_damaged(one, done) and not one.beyond)
                ]
            elif reading.closed and not reading.unopened:
                is_closed = True
                gone += reading.closed.values()
            else:
                raise _undone(done.damaged)
        elif 0 < sum(one.beyond and _is_person(one) for one in found) <= len(reading.closed):
            # No person is missing; a person removed before their key was destroyed is only in an older copy.
            is_closed = True
            gone += reading.closed.values()
        closed = {(one.register, one.row) for one in gone}
        beyond = [
            one
            for one in found
            if one.beyond
            and (one.register, one.row) not in closed
            and not _is_damaged(one, done)
            and not (is_closed and _is_person(one))
        ]
        if beyond:
            raise _beyond(beyond)
        told.mend(found)
        changed = [one for one in found if not one.beyond and not _is_damaged(one, done)]
        if by_others:
            done.mended += changed
        else:
            done.rows.update(one.register for one in changed)
        done.left_out += [one for one in gone if one not in done.left_out]


def _is_person(one: Difference) -> bool:
    return one.register == "documents" and one.row.startswith(PRINCIPAL)


def _is_damaged(one: Difference, done: CaughtUp) -> bool:
    return one.register == "documents" and one.row in done.damaged


def _are_mended_as_told(
    registers: Projections, told: Projections, logs: Sequence[Log], damaged: Sequence[str]
) -> bool:
    """Whether the documents match their last change once only these are replaced by the ledger's version."""
    made = told.world().documents
    kept = {key: text for key, text in registers.world().documents.items() if key not in damaged}
    again = {key: made[key] for key in damaged if key in made}
    return documents_digest_of(kept | again) in _last_change(registers, logs)


def _undone(damaged: Sequence[str]) -> Broken:
    if damaged:
        return _unreadable(damaged, "it cannot be made again: the key that it is sealed under is gone")
    return REGISTER_DOCUMENTS(
        "the registry documents differ from their last change in the ledger, and cannot be "
        "rebuilt from it: restore a copy of `answerable.db` with unedited documents"
    )


def _unreadable(documents: Sequence[str], why: str) -> Broken:
    return REGISTER_DOCUMENTS(
        f"document {shown(documents[0])} in the registers cannot be read, and {why}: restore a "
        "copy of `answerable.db`"
    )


def _beyond(rows: Sequence[Difference]) -> Broken:
    named = ", ".join(f"{one.register} {shown(one.row)}" for one in rows[:NAMED_MAX])
    return REGISTER_BEYOND_LEDGER(
        f"{len(rows)} rows of the registers are in no ledger entry: {named}; another program "
        "wrote them, or the ledger is another one: restore the registers that belong to it, or "
        "move `answerable.db` away, and it is rebuilt from the ledger"
    )
