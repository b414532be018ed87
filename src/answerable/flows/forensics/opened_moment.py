"""Open entries of the ledger, to tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.handed_on import traced_hop
from answerable.core.incident.timeline import Moment
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.incident.handed_on import TracedHop
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey


def opened_moment(stored: StoredEntry, find_key: Callable[[bytes], SubjectKey | None]) -> Moment:
    """Return one entry, opened; where its fields cannot be opened, its leaf alone. Raises Broken
    (`ledger.leaf_malformed`)."""
    leaf = leaf_of(stored)
    return Moment(index=stored.index, tag=stored.tag, leaf=leaf, payload=payload_of(stored, leaf, find_key))


def hops_among(moments: Iterable[Moment]) -> tuple[TracedHop, ...]:
    """Return every hop that one of these entries records."""
    cited = (traced_hop(moment.leaf, moment.payload) for moment in moments if moment.tag == Tag.CITED)
    return tuple(hop for hop in cited if hop is not None)
