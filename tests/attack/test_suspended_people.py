"""Somebody is suspended while a question is on its way to them."""

from __future__ import annotations

import pytest

from answerable.flows.registry.apply_registry import apply_registry
from answerable.ports.message_channel import Sent
from answerable.testing.builders import bench_documents
from tests.worlds.channel import TAKEN, Reach, asked, reach_bench
from tests.worlds.parts import to_apply

pytestmark = pytest.mark.anyio


async def disabled(reach: Reach, person: str) -> None:
    """The person is suspended from now on."""
    documents = bench_documents()
    for one in documents:
        match one:
            case {"kind": "Principal", "metadata": {"name": str(name)}, "spec": dict(spec)} if name == person:
                spec["status"] = "disabled"
    await apply_registry(*to_apply(reach.bench.walk), documents, by="operator")


@pytest.mark.requirement("CEREMONY-09")
@pytest.mark.parametrize("when", ["before it was asked", "after it was planned"])
async def test_a_suspended_person_gets_no_question(when):
    reach = await reach_bench()
    if when == "before it was asked":
        await disabled(reach, "carol")
    waiting = await asked(reach)
    if when == "after it was planned":
        reach.channel.always = Sent(state="later", why="it is busy")
        await reach.tell()
        assert {one.to for one in reach.desk.register.of(waiting.id)} >= {"person:bob", "person:carol"}
        await disabled(reach, "carol")
        reach.channel.always = TAKEN
        reach.bench.clock.advance(60)
    await reach.tell()
    assert {address for address, _ in reach.channel.kinds()} == {"bob@example.com"}
