"""Streams of events that were open when what their caller stood on ended: they say nothing more, and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from answerable.adapters.system import SystemClock
from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.revocation import Revocation, RevocationKind, RevocationTarget
from answerable.testing.samples import signing_key
from answerable.wiring import following
from tests.system.test_gateway_events import ALL, noticing
from tests.worlds.gateway import World

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("GATE-18")]


def revoked(world: World, kind: RevocationKind, name: str) -> None:
    world.walk.authority.revocations.add(
        Revocation(what=RevocationTarget(kind, name), at=world.walk.clock.now(), by="uid:0")
    )


def documented(world: World, key: str, **spec: JSONValue) -> None:
    """One document is another from now on."""
    registered = world.walk.authority.registry.documents()
    document = parse(registered[key])
    assert isinstance(document, dict)
    assert isinstance(document["spec"], dict)
    document["spec"] |= spec
    world.walk.authority.registry.put({**registered, key: encode(document)})


ENDS: dict[str, Callable[[World], None]] = {
    "mandate closed": lambda world: world.walk.authority.mandates.close("m-1"),
    "mandate revoked": lambda world: revoked(world, "mandate", "m-1"),
    "agent revoked": lambda world: revoked(world, "agent", "scout"),
    "key revoked": lambda world: revoked(world, "key", signing_key("scout").public.thumbprint),
    "agent suspended": lambda world: documented(world, "Agent/scout", status="suspended"),
    "giver's key replaced": lambda world: documented(
        world, "Principal/alice", keys=[parse(signing_key("another").public.jwk.encode())]
    ),
}


@pytest.mark.parametrize("end", [*ENDS, "mandate expired"])
async def test_a_stream_ends_with_what_its_caller_stands_on_and_that_of_another_goes_on(
    tmp_path, end, monkeypatch
):
    monkeypatch.setattr(following, "STREAMS_SECONDS", 0.05)
    lives, really = 45, SystemClock.now
    async with noticing(tmp_path, "2026-07-28") as world, anyio.create_task_group() as tasks:
        tasks.start_soon(following.ending_streams, world.walk.planning, world.walk.live.streams)
        world.mandate(*ALL, seconds=lives if end == "mandate expired" else 600)
        world.mandate(*ALL, agent="rover", identity="m-2")
        async with (
            world.client("noticing") as client,
            world.client("noticing", agent="rover", mandate="m-2") as other,
            client.listen(tools_list_changed=True) as stream,
            other.listen(tools_list_changed=True),
        ):
            if end == "mandate expired":
                monkeypatch.setattr(
                    SystemClock, "now", lambda clock: UnixMillis(really(clock) + lives * 1000)
                )
            else:
                ENDS[end](world)
            with anyio.fail_after(5):
                assert [event async for event in stream] == []
            # Alice gave both tasks.
            left = [] if end == "giver's key replaced" else ["rover"]
            assert [str(one.caller.agent) for one in world.walk.live.streams] == left
        tasks.cancel_scope.cancel()
