"""Notification channels: list their states, list who was notified of an approval, and send a test message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import channel_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.delivery import PLACE
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_UNKNOWN
from answerable.flows.approval.try_channel import channels_seen, told_of, try_channel

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.approval.delivery import Delivery
    from answerable.core.approval.route import Route
    from answerable.flows.approval.try_channel import ChannelView

NAME_CHARS_MAX: Final = 120


@operation(
    "GET",
    "/v1/channels",
    id="list_channels",
    summary="Channels that reach approvers, and how each is",
    answer=Page[answers.Channel],
)
async def list_channels(call: Call) -> Page[answers.Channel]:
    """List every channel in the settings."""
    return page_of(
        call,
        await channels_seen(call.walk.asking.reach, call.walk.limits, call.walk.clock),
        name=lambda one: one.name,
        render=_channel,
    )


@operation(
    "POST",
    "/v1/channels/{name}/test",
    id="test_channel",
    summary="Send a test message to a person, or to the place that a channel has",
    answer=answers.ChannelTested,
    body=answers.ChannelTest,
)
async def send_test(call: Call) -> answers.ChannelTested:
    """Send a test message now."""
    body = call.members("person")
    person = body.text("person", chars_max=NAME_CHARS_MAX) if body.has("person") else ""
    sent = await try_channel(
        call.walk.authority.registry,
        call.walk.asking,
        call.walk.clock,
        call.walk.entropy,
        call.path["name"],
        person,
    )
    return answers.ChannelTested(state=sent.state, why=sent.why)


@operation(
    "GET",
    "/v1/approvals/{id}/told",
    id="list_told",
    summary="Who was notified of an approval on which channel, and who was not",
    answer=Page[answers.Told],
)
async def list_told(call: Call) -> Page[answers.Told]:
    """List who was notified of one approval on which channel, and who was not."""
    identity = call.path["id"]
    if call.walk.authority.approvals.find(ApprovalId(identity)) is None:
        raise APPROVAL_UNKNOWN(f"there is no approval {shown(identity)}")
    found = await told_of(call.walk.asking.reach, identity)
    return page_of(call, found, name=lambda one: f"{one.channel} {one.to}", render=_delivery)


def _channel(one: ChannelView) -> answers.Channel:
    return answers.Channel(
        name=one.name,
        up=not one.state.error,
        error=one.state.error,
        attempts=one.state.attempts,
        routes=tuple(_route(route) for route in one.routes),
        since=instant(one.state.since),
        sent=one.state.sent,
        missed=one.state.missed,
        left_out=one.state.left_out,
        waiting=one.waiting,
    )


def _route(route: Route) -> str:
    return f"{route.group} to {route.place}" if route.place else route.group


def _delivery(one: Delivery) -> answers.Told:
    kind, _, name = one.to.partition(":")
    return answers.Told(
        channel=one.channel,
        to=name if f"{kind}:" == PLACE else one.person,
        as_=kind,
        told=one.told or "nothing",
        at=instant(one.at) if one.at else None,
        missed=one.missed,
        attempts=one.attempts,
        error=one.error,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    list_channels,
    send_test,
    list_told,
)
