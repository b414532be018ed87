"""What people hear of a test on their channels is that it was one: neither a void action nor one that ran out."""

from __future__ import annotations

import pytest

from answerable.core.approval.route import Route
from answerable.core.mandate.revocation import RevocationTarget
from answerable.flows.approval.notify_attention_check import tell_ended_canaries
from answerable.flows.registry.apply_registry import apply_registry
from answerable.ports.message_channel import Sent
from answerable.testing.builders import bench_documents
from tests.worlds.canary import TESTED, canary_on
from tests.worlds.channel import EVERYBODY, TAKEN, Reach, reach_bench
from tests.worlds.parts import to_apply
from tests.worlds.revocation import revoke_now

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("OVERSIGHT-06", "CHANNEL-02")]
ROUTES = (*EVERYBODY, Route(group="@requester", channel="email"))


async def _tested() -> tuple[Reach, str]:
    reach = await reach_bench(routes=ROUTES, limits_of_walk=TESTED)
    real = (await reach.bench.refund(6_000)).approval
    assert real is not None
    canary = await canary_on(reach.bench)
    await reach.tell()
    return reach, canary.id


def _of(reach: Reach, canary: str) -> list[tuple[str, str]]:
    return [
        (message.kind, message.title)
        for _, message in reach.channel.told
        if message.thread == canary and message.kind != "asked"
    ]


async def test_whoever_was_asked_hears_that_it_was_a_test():
    reach, canary = await _tested()
    found = reach.bench.authority.approvals.find(canary)
    await reach.bench.answer(found, verdict="deny")
    await reach.tell()
    told = _of(reach, canary)
    assert {kind for kind, _ in told} == {"ended", "result"}
    assert all("test" in title and "void" not in title.lower() for _, title in told), told


async def test_a_test_that_nobody_answered_is_told_as_one_and_not_as_an_action_that_ran_out():
    reach, canary = await _tested()
    reach.bench.clock.advance(reach.bench.walk.limits.approval_ttl_ms // 1000 + 1)
    await reach.tell()
    assert _of(reach, canary) == [], "it is not told yet what it was"
    await tell_ended_canaries(reach.bench.recorder, reach.bench.authority, reach.bench.asking)
    await reach.tell()
    told = _of(reach, canary)
    assert told
    assert all("test" in title for _, title in told), told


@pytest.mark.requirement("CHANNEL-02")
async def test_who_is_revoked_or_held_is_told_nothing_of_what_waits():
    """Whoever took over an approver's mailbox reads nothing more once somebody noticed."""
    reach = await reach_bench()
    revoke_now(reach.bench, RevocationTarget("owner", "bob"))
    await reach.bench.refund(6_000)
    await reach.tell()
    assert {address for address, _ in reach.channel.told} == {"carol@example.com"}


@pytest.mark.requirement("CHANNEL-02")
async def test_who_has_left_the_group_since_it_was_planned_is_told_nothing():
    reach = await reach_bench()
    reach.channel.always = Sent(state="down", why="it is off")
    await reach.bench.refund(6_000)
    await reach.tell()
    bob = next(one for one in bench_documents() if one["metadata"]["name"] == "bob")
    left = {**bob, "spec": {**bob["spec"], "groups": ["sales"]}}
    await apply_registry(*to_apply(reach.bench.walk), [left], by="operator")
    reach.channel.always = TAKEN
    reach.bench.clock.advance(120)
    await reach.tell()
    assert {address for address, _ in reach.channel.told} == {"carol@example.com"}


@pytest.mark.requirement("CHANNEL-03")
async def test_a_clock_that_is_set_back_keeps_nobody_untold():
    reach = await reach_bench()
    reach.channel.always = Sent(state="later", why="greylisted")
    await reach.bench.refund(6_000)
    await reach.tell()
    reach.channel.always = TAKEN
    reach.bench.clock.jump(-86_400)
    await reach.tell()
    assert {address for address, _ in reach.channel.told} == {"bob@example.com", "carol@example.com"}
