"""A stop reads of a long log only what no stop before it has read, and none of it on the event loop."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.flows.leases.list_outstanding_access import outstanding_of_agent
from answerable.flows.trust_domain import issued_svids
from answerable.flows.workloads import hand_out_svid
from answerable.flows.workloads.enrol_workload import enrol
from tests.worlds.enrolment import enrolling, evidence_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("NEIGHBOUR-21")]

KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


class Watched:
    """A log that notes what is read of it, and where."""

    def __init__(self, ledger: Any) -> None:
        self._ledger, self.read, self.threads = ledger, [], set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def replay(self, start: int = 0) -> Any:
        for stored in self._ledger.replay(start):
            self.read.append(stored.index)
            self.threads.add(threading.get_ident())
            yield stored


async def issued(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, Any]:
    monkeypatch.setattr(issued_svids, "ENTRIES_AT_A_TIME", 3)
    bench, workloads = await enrolling()
    one = await enrol(workloads, evidence=evidence_of(), key=None, process="boot:1:1")
    await hand_out_svid.x509_svid(workloads, one.id, KEY)
    bench.recorder.ledger = Watched(bench.recorder.ledger)
    return bench, workloads, one


async def test_each_entry_is_read_once_and_beside_the_loop(monkeypatch: pytest.MonkeyPatch):
    bench, workloads, one = await issued(monkeypatch)
    first = await outstanding_of_agent(workloads, "scout")
    assert [found.instance for found in first.svids] == [str(one.id)]
    assert first.is_all
    await hand_out_svid.x509_svid(workloads, one.id, KEY)
    again = await outstanding_of_agent(workloads, "scout")
    assert len(again.svids) == 2
    assert (await outstanding_of_agent(workloads, "rover")).svids == ()
    log = bench.recorder.ledger
    assert log.read == list(range(log.size))
    assert threading.get_ident() not in log.threads


async def test_what_was_not_read_or_not_kept_is_not_said_to_be_all(monkeypatch: pytest.MonkeyPatch):
    bench, workloads, one = await issued(monkeypatch)
    for _ in range(3):
        await hand_out_svid.x509_svid(workloads, one.id, KEY)
    monkeypatch.setattr(issued_svids, "KEPT_MAX", 2)
    cut = await outstanding_of_agent(workloads, "scout")
    assert len(cut.svids) == 2
    assert not cut.is_all
    assert cut.svids[0].expires_at == max(one.expires_at for one in cut.svids)
    del bench


async def test_of_a_log_that_is_too_long_the_end_is_read(monkeypatch: pytest.MonkeyPatch):
    bench, workloads, one = await issued(monkeypatch)
    monkeypatch.setattr(issued_svids, "ENTRIES_READ_MAX", 1)
    for _ in range(2):
        await hand_out_svid.x509_svid(workloads, one.id, KEY)
    found = await outstanding_of_agent(workloads, "scout")
    assert not found.is_all
    log = bench.recorder.ledger
    assert log.read == [log.size - 1]
    assert len(found.svids) == 1
