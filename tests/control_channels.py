"""What people ask of the control API about the channels that reach approvers."""

from __future__ import annotations

from typing import Any

from answerable.adapters.sqlite import SqliteDeliveryRegister
from answerable.core.approval.approval import Approval
from answerable.flows.reach_desk import ReachDesk, Route
from answerable.flows.reach_people import reach_people
from answerable.ports.message_channel import Sent
from answerable.testing.registers import fresh
from tests.channel_world import LoudChannel
from tests.control_world import Product


async def use_channels(client: Any, product: Product, deferred: Approval) -> None:
    """Every operation about channels, without any and with one that works, then does not."""
    assert (await client("list_channels"))["items"] == []
    assert (await client("list_told", id=deferred.id))["items"] == []
    assert (await client("list_told", status=404, id="nothing"))["code"] == "approval.unknown"
    refused = await client("test_channel", {}, status=404, name="email")
    assert refused["code"] == "channel.unknown"
    channel = LoudChannel()
    desk = ReachDesk(
        register=fresh(SqliteDeliveryRegister),
        channels={"email": channel, "webhook:ops": channel},
        addresses={"email": lambda name: () if name == "alice" else (f"{name}@example.com",)},
        routes=(Route(group="*", channel="email"), Route(group="*", channel="webhook:ops", place="ops")),
    )
    product.walk.reach = desk
    for body, name in (({}, "email"), ({"person": "alice"}, "email"), ({"person": "nobody"}, "email")):
        assert (await client("test_channel", body, status=403, name=name))["code"] == "channel.receiver"
    tested = await client("test_channel", {"person": "bela"}, name="email")
    assert tested == {"state": "taken", "why": ""}
    await client("test_channel", {}, name="webhook:ops")
    assert channel.kinds() == [("bela@example.com", "test"), ("ops", "test")]
    channel.answers = [Sent(state="later", why="greylisted")] * 9
    await reach_people(product.walk, desk, "email")
    told = (await client("list_told", id=deferred.id))["items"]
    assert {(one["to"], one["as"], one["told"], one["error"]) for one in told} == {
        (one["to"], "person", "nothing", "greylisted") for one in told
    }
    assert told
    channel.answers = [Sent(state="down", why="gone")]
    await reach_people(product.walk, desk, "webhook:ops")
    mail, hook = (await client("list_channels"))["items"]
    assert (mail["name"], mail["up"], mail["waiting"]) == ("email", True, len(told))
    assert (hook["up"], hook["error"], hook["routes"]) == (False, "gone", ["* to ops"])
    product.walk.reach = None
