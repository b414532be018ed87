"""A group with a duty on the channels: whose turn it is hears first, the next ones when nothing comes of it."""

from __future__ import annotations

import pytest

from answerable.flows.escalation.route_approval import scan_waiting, tell_due
from answerable.testing.builders import POLICIES, bench_documents
from tests.worlds.channel import Reach, asked, reach_bench
from tests.worlds.duty import duty_document, with_people

pytestmark = pytest.mark.anyio


def people(reach: Reach) -> list[str]:
    return [address.partition("@")[0] for address, told in reach.channel.kinds() if told == "asked"]


async def passed_on(reach: Reach, seconds: int = 0) -> None:
    reach.bench.clock.advance(seconds)
    walk = reach.bench.walk
    if walk.asking.duties.scanned is not walk.authority.registry.current:
        await scan_waiting(walk.authority, walk.asking.duties)
    while await tell_due(walk.recorder, walk.authority, walk.asking):
        pass
    await reach.tell()


@pytest.mark.requirement("CHANNEL-02", "DUTY-02", "DUTY-04")
async def test_who_is_on_call_is_told_first_and_the_next_ones_step_by_step():
    documents = with_people(bench_documents(POLICIES), erin=["approvers"])
    reach = await reach_bench(documents=[*documents, duty_document()])
    await asked(reach)
    await passed_on(reach)
    assert people(reach) == ["bob"]
    await passed_on(reach, seconds=61)
    assert people(reach) == ["bob", "carol"]
    await passed_on(reach, seconds=60)
    assert people(reach) == ["bob", "carol", "erin"]


@pytest.mark.requirement("CHANNEL-02", "DUTY-02")
async def test_after_a_restart_nobody_is_told_twice_and_nobody_before_their_turn():
    documents = with_people(bench_documents(POLICIES), erin=["approvers"])
    reach = await reach_bench(documents=[*documents, duty_document()])
    await asked(reach)
    await passed_on(reach)
    again = reach.restarted()
    await passed_on(again)
    assert people(again) == ["bob"]
