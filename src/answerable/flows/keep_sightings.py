"""Writing down what was seen and is not registered, in one write for all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors import Unavailable

if TYPE_CHECKING:
    from answerable.core.registry.sighting import SightingBatch
    from answerable.ports.sightings import Sightings


def keep_sightings(batch: SightingBatch, sightings: Sightings) -> int:
    """Called on a timer, never for a message; tells how many different things were seen. Blocking.

    Raises Unavailable (`register.*`): what was seen waits for the next time then.
    """
    seen = batch.take()
    if not seen:
        return 0
    try:
        sightings.keep(seen)
    except Unavailable:
        batch.put_back(seen)
        raise
    return len(seen)
