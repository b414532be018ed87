"""A hold that is placed through one process stops what another one does for it, and cuts what is on its way there."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest

from answerable.core.containment.hold import holdable
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.containment.follow_holds import follow_holds
from answerable.testing.builders import Bench
from tests.worlds.hold import stop
from tests.worlds.link import door, sent, two_shards

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOLD-16")]


async def on_one_register(directory: Path) -> tuple[Bench, Bench]:
    """a, which owns the mandate and acts, and b, which the agent talks to and through which is stopped."""
    a, b = await two_shards(directory)
    b.walk.authority.revocations, b.walk.authority.holds = (
        a.walk.authority.revocations,
        a.walk.authority.holds,
    )
    return a, b


async def test_an_action_that_is_forwarded_is_refused_where_it_would_be_done(tmp_path):
    a, b = await on_one_register(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        await sent(b)
        await stop(b, holdable("agent", "scout"))
        with pytest.raises(Refused) as raised:
            await sent(b)
    assert raised.value.code == "held.agent"
    assert len(a.upstream.effects) == 1
    assert [leaf["code"] for leaf in a.entries(Tag.REFUSAL)] == ["held.agent"]


async def test_a_forwarded_action_in_flight_is_cut_by_the_process_that_does_it(tmp_path):
    a, b = await on_one_register(tmp_path / "links")
    started = anyio.Event()

    async def hangs(_effect: object) -> None:
        started.set()
        await anyio.sleep_forever()

    a.upstream.before = hangs
    answers = []

    async def agent() -> None:
        answers.append(await sent(b, "refund", {"case": "4711", "amount": 100}))

    async with door(tmp_path / "links", "a", a), anyio.create_task_group() as tasks:
        tasks.start_soon(
            partial(
                follow_holds,
                a.walk.recorder.open_intents,
                a.walk.authority,
                a.walk.live,
                a.walk.counters.cuts,
                poll_seconds=0.001,
            )
        )
        async with anyio.create_task_group() as calling:
            calling.start_soon(agent)
            await started.wait()
            placed = await stop(b, holdable("server", "crm"))
        tasks.cancel_scope.cancel()
    assert placed.cut == 0
    assert answers[0].outcome.status == "indeterminate"
    assert len(a.entries(Tag.INDETERMINATE)) == 1
