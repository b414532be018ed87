"""An approval that becomes void is on record when it does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.testing.builders import Bench
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.attack.test_what_was_shown import CHANGES, approved, capability
from tests.worlds.obligation import story
from tests.worlds.walk import stored_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("REPLY-11")]


@pytest.mark.parametrize("what", CHANGES)
async def test_it_says_what_changed_before_anybody_is_asked_anew(what):
    bench, asked = await approved()
    changed, told = CHANGES[what]
    await bench.registered(changed())
    anew = (await bench.refund(6000)).approval
    assert anew is not None
    (entry,) = bench.entries(Tag.APPROVAL_VOID)
    assert (entry["approval"], entry["agent"], entry["mandate"]) == (asked.id, "scout", "m-1")
    assert told in " ".join(map(str, entry["because"]))
    first, second = bench.entries(Tag.APPROVAL_ASKED)
    assert entry["digest"] == first["digest"]
    assert first["index"] < entry["index"] < second["index"]
    assert f"Approval {asked.id[:12]}" in story(bench, asked.id)
    assert "is void: " in story(bench, asked.id)


async def test_the_entry_reads_and_says_nothing_of_a_person():
    bench, _ = await approved()
    await bench.registered(capability(title="send flowers"))
    await bench.refund(6000)
    (stored,) = stored_of(bench, Tag.APPROVAL_VOID)
    assert not isinstance(read_leaf(stored.leaf), Fault)
    assert b"alice" not in stored.leaf
    assert not stored.attachment


@pytest.mark.parametrize("answered", [True, False])
async def test_of_twenty_who_find_it_so_at_once_one_writes_it_down(answered):
    bench: Any
    if answered:
        bench, _ = await approved()
    else:
        bench = await Bench().registered()
        await bench.issue()
        await bench.refund(6000)
    await bench.registered(capability(title="send flowers"))
    answers = await asyncio.gather(*(bench.refund(6000) for _ in range(20)))
    assert len({one.approval.id for one in answers}) == 1
    assert len(bench.entries(Tag.APPROVAL_VOID)) == 1
    assert len(bench.entries(Tag.APPROVAL_ASKED)) == 2
    assert not bench.asking.under_way.voiding
    assert not bench.upstream.effects


async def test_while_the_ledger_takes_nothing_it_is_not_void_and_nothing_runs():
    bench, asked = await approved()
    await bench.registered(capability(title="send flowers"))
    whole = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        whole, Trouble(lambda _n, method: "full" if "submit" in method else None)
    )
    with pytest.raises(Unavailable) as told:
        await bench.refund(6000)
    assert told.value.effect == "none"
    found = bench.authority.approvals.find(asked.id)
    assert found is not None
    assert found.state == "approved"
    assert not bench.upstream.effects
    bench.recorder.ledger = whole
    assert (await bench.refund(6000)).approval is not None
    assert len(bench.entries(Tag.APPROVAL_VOID)) == 1
    assert not bench.upstream.effects
