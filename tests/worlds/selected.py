"""The entries of an evidence bundle, as a scan of the whole log selects them; by the index they are the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from answerable.core.ledger.entry import StoredEntry
from answerable.flows.ledger.assemble_evidence import Selection
from answerable.flows.ledger.select_evidence import select_evidence
from answerable.ports.search_process import SelectionQuestion
from answerable.testing.samples import AUDIENCE
from tests.worlds.stories import Entries, teller_over


def selected(entries: Iterable[StoredEntry], *, replay: bool = False, **wanted: Any) -> list[int]:
    """Which of these entries, all that there are, belong to what is wanted, as a `Selection` takes it."""
    log = Entries(AUDIENCE, [*entries])
    told: dict[bool, list[int]] = {}
    with teller_over(log) as teller:
        for again in (False, True):
            selection = Selection(**wanted, replay=again)
            for stored in log.replay():
                selection.take(stored)
            told[again] = sorted(selection.entries())
            asked = {"indexes": (), "action": "", "mandate": "", **wanted, "replay": again}
            if selection.needs_all:
                assert [*select_evidence(teller, SelectionQuestion(**asked)).items] == told[again]
    return told[replay]
