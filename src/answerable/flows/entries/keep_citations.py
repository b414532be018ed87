"""Store an index of cited statements beside the log, so that each is written once per log and not once per opening.

The entries are the record. The stored index goes up to an entry on stable storage; a start reads the entries after it.
A place found in the index is compared with the log before use. A register that was lost, or belongs to another copy of
the log, therefore only causes a statement to be written once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio.to_thread

from answerable.core.ledger.leaves import Reference
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed

if TYPE_CHECKING:
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.parts import Recorder
    from answerable.ports.citation_register import Cited

UNKEPT_ENTRIES_MAX: Final = 65_536
"""After so many entries, store that none of them is missing, so that no start reads them again."""
RECALLED_AT_ONCE: Final = 10_000


def recall_citations(recorder: Recorder) -> int:
    """At a start, index the statements written after the stored index; return how many. Raises Unavailable."""
    register, origin, end = recorder.citations, recorder.ledger.origin, recorder.ledger.size
    if register is None:
        return 0
    count = 0
    found: dict[Cited, Reference] = {}
    # A log shorter than its stored index is another copy, so read all of it.
    start = register.kept_to(origin)
    for stored in recorder.ledger.replay(start if start <= end else 0):
        name = _name_of(stored)
        if name is not None:
            found[name] = Reference(entry=stored.index, leaf=stored.leaf_hash.hex())
            count += 1
        if len(found) >= RECALLED_AT_ONCE:
            register.keep(origin, found, stored.index + 1)
            found = {}
    if found or start != end:
        register.keep(origin, found, end)
    return count


async def keep_citations(recorder: Recorder) -> None:
    """Store the places of statements that are on stable storage by now. Raises Unavailable; unstored places are read at
    the next start."""
    register, origin, end = recorder.citations, recorder.ledger.origin, recorder.ledger.size
    if register is None:
        return
    due = {name: place for name, place in recorder.cited_unkept.items() if place.entry < end}
    if due or end - register.kept_to(origin) >= UNKEPT_ENTRIES_MAX:
        await anyio.to_thread.run_sync(register.keep, origin, due, end)
        for name in due:
            recorder.cited_unkept.pop(name, None)


def found_citation(recorder: Recorder, name: Cited) -> Reference | None:
    """Return the place of a statement in the log, whenever it was written; None if unknown.

    Raises Unavailable.
    """
    if name in recorder.cited_unkept or recorder.citations is None:
        return recorder.cited_unkept.get(name)
    place = recorder.citations.find(recorder.ledger.origin, name)
    if place is None:
        return None
    try:
        stored = recorder.ledger.entry(place.entry)
    except Malformed:
        return None
    return place if (_name_of(stored), stored.leaf_hash.hex()) == (name, place.leaf) else None


def _name_of(stored: StoredEntry) -> Cited | None:
    if stored.tag != Tag.CITED:
        return None
    leaf = leaf_of(stored)
    return str(leaf.get("kind")), str(leaf.get("name"))
