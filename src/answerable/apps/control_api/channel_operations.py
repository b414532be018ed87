"""Notification channels: list their states, list who was notified of an approval, and send a test message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import (
    COUNT,
    FLAG,
    INSTANT,
    TEXT,
    TEXTS,
    choice,
    nullable,
    record,
)
from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.delivery import PLACE
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_UNKNOWN
from answerable.flows.approval.try_channel import channels_seen, told_of, try_channel

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.approval.delivery import Delivery
    from answerable.core.approval.route import Route
    from answerable.core.canonical import JSONValue
    from answerable.flows.approval.try_channel import ChannelView

NAME_CHARS_MAX: Final = 120
_SENT: Final = ("taken", "later", "down", "never")


async def list_channels(call: Call) -> Answer:
    """List every channel in the settings."""
    return page_of(call, await channels_seen(call.walk), name=lambda one: one.name, render=_channel)


async def send_test(call: Call) -> Answer:
    """Send a test message now."""
    body = call.members("person")
    person = body.text("person", chars_max=NAME_CHARS_MAX) if body.has("person") else ""
    sent = await try_channel(call.walk, call.path["name"], person)
    return {"state": sent.state, "why": sent.why}


async def list_told(call: Call) -> Answer:
    """List who was notified of one approval on which channel, and who was not."""
    identity = call.path["id"]
    if call.walk.approvals.find(ApprovalId(identity)) is None:
        raise APPROVAL_UNKNOWN(f"there is no approval {shown(identity)}")
    found = await told_of(call.walk, identity)
    return page_of(call, found, name=lambda one: f"{one.channel} {one.to}", render=_delivery)


def _channel(one: ChannelView) -> JSONValue:
    return {
        "name": one.name,
        "up": not one.state.error,
        "error": one.state.error,
        "attempts": one.state.attempts,
        "routes": [_route(route) for route in one.routes],
        "since": instant(one.state.since),
        "sent": one.state.sent,
        "missed": one.state.missed,
        "left_out": one.state.left_out,
        "waiting": one.waiting,
    }


def _route(route: Route) -> str:
    return f"{route.group} to {route.place}" if route.place else route.group


def _delivery(one: Delivery) -> JSONValue:
    kind, _, name = one.to.partition(":")
    return {
        "channel": one.channel,
        "to": name if f"{kind}:" == PLACE else one.person,
        "as": kind,
        "told": one.told or "nothing",
        "at": instant(one.at) if one.at else None,
        "missed": one.missed,
        "attempts": one.attempts,
        "error": one.error,
    }


COMPONENTS: Final[dict[str, Schema]] = {
    "Channel": record(
        {
            "name": TEXT,
            "up": FLAG,
            "error": TEXT,
            "attempts": COUNT,
            "routes": TEXTS,
            "since": INSTANT,
            "sent": COUNT,
            "missed": COUNT,
            "left_out": COUNT,
            "waiting": COUNT,
        }
    ),
    "ChannelTest": record({"person": TEXT}, optional=("person",)),
    "ChannelTested": record({"state": choice(*_SENT), "why": TEXT}),
    "Told": record(
        {
            "channel": TEXT,
            "to": TEXT,
            "as": choice("person", "requester", "place"),
            "told": choice("nothing", "asked", "digest", "ended", "notice"),
            "at": nullable(INSTANT),
            "missed": FLAG,
            "attempts": COUNT,
            "error": TEXT,
        }
    ),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="list_channels",
        method="GET",
        path="/v1/channels",
        summary="Channels that reach approvers, and how each is",
        answer="Channel",
        page=True,
        run=list_channels,
    ),
    Operation(
        id="test_channel",
        method="POST",
        path="/v1/channels/{name}/test",
        summary="Send a test message to a person, or to the place that a channel has",
        body="ChannelTest",
        answer="ChannelTested",
        run=send_test,
    ),
    Operation(
        id="list_told",
        method="GET",
        path="/v1/approvals/{id}/told",
        summary="Who was notified of an approval on which channel, and who was not",
        answer="Told",
        page=True,
        run=list_told,
    ),
)
