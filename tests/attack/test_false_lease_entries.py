"""Entries about leases that whoever holds the log's key wrote and that cannot be true: a stranger sees it offline."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from answerable.apps.broker.control import _recalled
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Revoked
from answerable.core.lease.lease import Lease
from answerable.core.lease.name import lease_name
from answerable.core.ledger.entry import entry_of
from answerable.core.ledger.records_leases import lease_stands
from answerable.core.ledger.subject import LOG_SUBJECT
from answerable.core.ledger.tags import Tag
from answerable.flows.recording.record_entry import record_entry, sealing_for
from answerable.testing.contracts.ledger import log_key
from answerable.verify.leaf_rules import Fault, read_leaf
from answerable.verify.lease_entries import LeaseEntries
from answerable.verify.ledger_history import verify_ledger
from tests.attack.test_brokered_walk import a_bench
from tests.worlds.ledger_files import small_log

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BROKER-03")]


async def told(*, twice: bool = False) -> tuple[Any, Lease]:
    """A bench with one action behind the broker, and its lease once it is issued."""
    bench, watching, _ = await a_bench()
    await bench.act()
    if twice:
        await bench.act("get_case", {"case": "4712"})
    warrant = watching.warrants[0]
    (intent, *_) = [
        one for one in range(bench.recorder.ledger.size) if bench.recorder.ledger.entry(one).tag == Tag.INTENT
    ]
    now = bench.clock.now()
    lease = Lease(
        name=warrant.brokered.terms.name,
        target="crm-db",
        window="action",
        log=bench.recorder.ledger.origin,
        intent=intent,
        mandate="m-1",
        agent="scout",
        capability="crm.read",
        under=(("mandate", "m-1"),),
        scope=warrant.brokered.terms.scope.hex,
        named_at=now,
        expires_at=warrant.brokered.terms.expires_at,
    )
    return bench, lease.issued(now, account=f"ans_{lease.name}", expires_at=lease.expires_at).used(now)


async def written(bench: Any, lease: Lease, change: int) -> None:
    entry = lease_stands(
        lease, change=change, at=bench.clock.now(), sealing=sealing_for(bench.recorder, LOG_SUBJECT)
    )
    _, left = await record_entry(bench.recorder, entry)
    assert left is None


async def rules(bench: Any, tmp_path: Any) -> list[str]:
    """What the offline verifier says of these entries, once they are in the files of a log."""
    ledger = small_log(tmp_path / "log")
    for number in range(1, bench.recorder.ledger.size):
        stored = bench.recorder.ledger.entry(number)
        await ledger.append(entry_of(stored.tag, stored.leaf, stored.attachment))
    await ledger.close()
    report = await asyncio.to_thread(verify_ledger, tmp_path / "log", key=log_key()[0])
    return [one.rule for one in report.findings if one.severity == "error"]


def gone(lease: Lease) -> Lease:
    return lease.ended(lease.named_at, Revoked(sessions_cut=1), why="its action ended")


async def test_leases_as_brokers_tell_them_are_in_order(tmp_path):
    bench, lease = await told(twice=True)
    recalled = replace(
        lease, name=lease_name(bytes(16)), intent=0, scope="", state="named", issued_at=0, uses=0, used_at=0
    )
    failed = lease.unrevoked(lease.named_at, "away", why="held", jitter=0.0)
    never = replace(lease, state="named", issued_at=0, uses=0, used_at=0, account="")
    for change, one in enumerate(
        (
            never,
            lease,
            lease.used(lease.named_at),
            failed.unrevoked(lease.named_at, "away", why="held", jitter=0.0),
        ),
        1,
    ):
        await written(bench, replace(one, uses=change - 1 if one.issued_at else 0), change)
    ended = replace(gone(failed), uses=9)
    for _ in range(2):
        # A gateway that starts anew is told the last state once more.
        await written(bench, ended, 9)
    await written(bench, gone(recalled), 3)
    assert await rules(bench, tmp_path) == []


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"issued_at": 0, "uses": 0, "used_at": 0, "sessions_cut": 0}, "lease.unissued"),
        ({"end": "not_issued"}, "lease.unissued"),
        ({"state": "issued", "end": "", "ended_at": 0, "issued_at": 0}, "lease.unissued"),
        ({"state": "named", "end": "", "ended_at": 0}, "lease.unissued"),
        ({"end": ""}, "lease.end"),
        ({"ended_at": 0}, "lease.end"),
        ({"state": "issued"}, "lease.end"),
        ({"name": lease_name(b"another lease 16")}, "lease.intent"),
        ({"intent": 1}, "lease.intent"),
        ({"intent": 4_000}, "lease.intent"),
    ],
)
async def test_an_entry_that_cannot_be_true_is_found(tmp_path, changed, rule):
    bench, lease = await told()
    await written(bench, replace(gone(lease), **changed), 1)
    assert rule in await rules(bench, tmp_path)


@pytest.mark.parametrize("after", ["live again", "older", "fewer uses", "another issue"])
async def test_entries_out_of_order_are_found(tmp_path, after):
    bench, lease = await told()
    used = lease.used(lease.named_at)
    first, second, change = {
        "live again": (gone(used), used, 9),
        "older": (used, used, 4),
        "fewer uses": (used, lease, 9),
        "another issue": (used, replace(used, issued_at=used.issued_at + 1), 9),
    }[after]
    await written(bench, first, 5)
    await written(bench, second, change)
    assert await rules(bench, tmp_path) == ["lease.order"]


async def test_stretches_that_are_read_apart_say_the_same_as_one(tmp_path):
    bench, lease = await told()
    await written(bench, gone(lease), 5)
    await written(bench, lease, 6)
    leaves = [read_leaf(bench.recorder.ledger.entry(one).leaf) for one in range(bench.recorder.ledger.size)]
    assert not any(isinstance(one, Fault) for one in leaves)
    for cut in range(1, len(leaves)):
        before, behind = LeaseEntries(), LeaseEntries(cut)
        faults = [before.fault(one, leaf) for one, leaf in enumerate(leaves[:cut])]
        faults += [behind.fault(one, leaf) for one, leaf in enumerate(leaves[cut:], cut)]
        faults += [fault for _, fault in before.joined(behind)]
        assert [one.rule for one in faults if one is not None] == ["lease.order"], cut


def test_what_was_recalled_is_not_said_to_have_never_been_issued():
    """A broker that lost its register does not know; the ledger may well say that it was issued."""
    recalled = _recalled(lease_name(bytes(16)), "one", "log", UnixMillis(1_000))
    assert recalled.ended(UnixMillis(1_000), Revoked(), why="recalled").end != "not_issued"
