"""Whose task an intent is for, and for what, is sealed once."""

from __future__ import annotations

import pytest
from msgspec import structs

from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.opened import payload_of
from tests.unit.core.ledger.test_records import DECISION, KEY, MANDATE, fields_of, intent, leaf_of

pytestmark = pytest.mark.requirement("HOUSE-44")


@pytest.mark.parametrize("log", ["full", "digest"])
def test_an_intent_seals_its_task_once_and_whoever_reads_it_is_told_either_way(log: str):
    question = b'{"context":{"task":{"principal":"alice","purpose":"to help"}}}'
    decision = structs.replace(DECISION, effect="allow", question=question, obligations=(f"log:{log}",))
    entry = intent(decision)
    names = {"principal_name", "purpose"}
    assert names & fields_of(entry).keys() == (set() if log == "full" else names)
    stored = StoredEntry(
        index=0, tag=entry.tag, leaf=entry.leaf, attachment=entry.attachment, leaf_hash=bytes(32)
    )
    told = payload_of(stored, leaf_of(entry), {KEY.id: KEY}.get)
    assert told is not None
    expected = ("alice", "to help") if log == "full" else (MANDATE.principal, MANDATE.purpose)
    assert (told["principal"], told["purpose"]) == expected
