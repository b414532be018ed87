"""A log goes on only with the keys that its people are known under."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.records import refusals_counted
from answerable.errors import Unavailable
from answerable.flows.workloads import require_subject_keys as module
from answerable.flows.workloads.require_subject_keys import require_subject_keys
from answerable.testing.builders import Bench, memory_ledger
from answerable.testing.clock import START, ManualClock
from answerable.testing.registers import fresh_subject_keys

pytestmark = pytest.mark.anyio


async def lived_in():
    bench = await Bench().registered()
    await bench.issue("m-1")
    await bench.act()
    return bench


async def test_a_store_that_knows_the_newest_keys_is_taken():
    bench = await lived_in()
    require_subject_keys(bench.recorder.ledger, bench.recorder.subject_keys)


async def test_another_store_is_refused_and_the_message_says_what_to_do():
    bench = await lived_in()
    with pytest.raises(Unavailable, match="put its backup back") as lost:
        require_subject_keys(bench.recorder.ledger, fresh_subject_keys("another"))
    assert lost.value.code == "subject_keys.lost"


async def test_one_known_key_among_erased_ones_is_enough():
    bench = await lived_in()
    known = {bench.recorder.subject_keys.of("principal:alice").id}

    class Erased:
        def find(self, key_id):
            return bench.recorder.subject_keys.find(key_id) if key_id in known else None

    require_subject_keys(bench.recorder.ledger, Erased())


async def test_a_log_in_which_nothing_is_sealed_needs_no_keys():
    ledger, asked = memory_ledger(ManualClock()), []

    class Empty:
        def find(self, key_id):
            asked.append(key_id)

    await ledger.append(refusals_counted(at=UnixMillis(START), by_agent={"scout": 3}))
    require_subject_keys(ledger, Empty())
    assert not asked


async def test_only_the_newest_entries_are_looked_at(monkeypatch):
    monkeypatch.setattr(module, "ENTRIES_LOOKED_AT", 1)
    bench = await lived_in()
    with pytest.raises(Unavailable):
        require_subject_keys(bench.recorder.ledger, fresh_subject_keys("another"))
