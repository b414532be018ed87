"""Which policies a leaf names when there are more than it has room for."""

from __future__ import annotations

from msgspec import structs

from answerable.core.ledger import records
from answerable.core.ledger.decided import SOURCES_CHARS_MAX
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.opened import leaf_of
from tests.unit.core.ledger.test_records import (
    APPROVAL,
    AT,
    DECISION,
    PSEUDONYM,
    RUN,
    SEALING,
    VERIFIED,
    intent,
)


def decided_lists(entry: Entry) -> tuple[list[str], list[str]]:
    decision = leaf_of(entry)["decision"]
    return decision["by"], decision["lifted"]


def test_as_many_policies_are_named_as_there_is_room_for():
    longest = "p" * SOURCES_CHARS_MAX
    for by, lifted, named in (
        (("a", "b"), (), (["a", "b"], [])),
        ((longest,), (longest + "p",), ([longest], [])),
    ):
        decided = structs.replace(DECISION, determined_by=by, lifted=lifted)
        entry = records.approval_asked(
            VERIFIED, decided, APPROVAL, at=AT, sealing=SEALING, run=RUN, principal=PSEUDONYM
        )
        assert decided_lists(entry) == named
    by, _ = decided_lists(intent())
    assert len(by) == SOURCES_CHARS_MAX // 128
