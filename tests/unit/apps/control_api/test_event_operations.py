"""How streams of events stand, as their owner reads it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from answerable.adapters.sqlite import SqliteEventRegister
from answerable.apps.control_api.event_operations import list_event_streams
from answerable.ports.event_register import Waiting
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from tests.worlds.answers import as_sent
from tests.worlds.event import desk_on, stream

pytestmark = pytest.mark.anyio


async def listed(bench: Bench, desk: Any) -> Any:
    call: Any = SimpleNamespace(product=SimpleNamespace(events=desk), query={}, walk=bench.walk)
    return as_sent(await list_event_streams.run(call))


@pytest.mark.requirement("SSF-08")
async def test_the_owner_reads_what_waits_what_was_left_out_and_when_it_is_tried_again():
    bench = await Bench().registered()
    register = fresh(SqliteEventRegister)
    desk = desk_on(bench, register=register)
    register.put(stream("s-1", refused=2, reason="refused 2"))
    register.put(stream("s-2", receiver="stranger", authorization="Bearer secret"))
    register.add([Waiting(stream="s-1", id=name, at=1, body=b"{}") for name in "abc"], waiting_max=2)
    register.release("s-1", attempts=3, next_at=1_790_000_000_000)
    found = await listed(bench, desk)
    first, second = found["items"]
    assert first == {
        "id": "s-1", "receiver": "scout", "method": "poll", "endpoint": "", "status": "enabled",
        "reason": "refused 2", "heard": True, "waiting": 2, "left_out": 1, "refused": 2, "attempts": 3,
        "next_at": "2026-09-21T14:13:20.000Z",
    }  # fmt: skip
    assert second["heard"] is False
    assert second["next_at"] is None
    assert "secret" not in str(found)


@pytest.mark.requirement("SSF-08")
async def test_keys_in_the_address_of_a_receiver_are_shown_to_nobody():
    bench = await Bench().registered()
    desk = desk_on(bench, register=fresh(SqliteEventRegister))
    pushed = "https://siem:s3cret@siem.example:8443/events?token=s3cret&s3cret"
    desk.register.put(stream("s-1", method="push", endpoint=pushed))
    found = await listed(bench, desk)
    [one] = found["items"]
    assert one["endpoint"] == "https://siem.example:8443/events?token=…&…"
