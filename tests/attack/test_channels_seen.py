"""What the console says of channels that are down, and what of a channel's words can reach its pages."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqliteDeliveryRegister
from answerable.core.approval.route import Route
from answerable.errors import Unavailable
from answerable.flows.state.reach_desk import NotificationState
from answerable.testing.registers import fresh
from answerable.wiring.telemetry import MetricsText
from tests.probes.console_client import console_house

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CHANNEL-11")]
ROUTES = (Route(group="*", channel="email"), Route(group="*", channel="slack"))


async def test_the_first_page_says_which_channel_is_down_and_nothing_while_all_work():
    house = await console_house()
    browser = await house.signed_in()
    register = fresh(SqliteDeliveryRegister)
    assert "Some people cannot be notified" not in (await browser.page("/")).text
    house.bench.asking.reach = NotificationState(register=register, routes=ROUTES)
    assert "Some people cannot be notified" not in (await browser.page("/")).text
    register.release("email", attempts=1, next_at=0, error="<script>alert(1)</script> is gone")
    page = (await browser.page("/")).text
    assert "email is down" in page
    assert "slack is down" not in page
    assert "<script>alert" not in page


class Unreadable(SqliteDeliveryRegister):
    def open(self, channel, *, now):
        raise Unavailable("the disk is gone", code="register.unavailable", port="register")


async def test_a_register_that_cannot_be_read_leaves_the_page_standing():
    house = await console_house()
    browser = await house.signed_in()
    house.bench.asking.reach = NotificationState(register=fresh(Unreadable), routes=ROUTES)
    page = await browser.page("/")
    assert page.status_code == 200
    assert "every channel is down" in page.text


async def test_metrics_say_how_each_channel_is_and_name_nobody():
    house = await console_house()
    text = await MetricsText(
        house.bench.walk.recorder, house.bench.walk.authority, house.bench.walk.deciding
    ).text()
    assert b"answerable_channel" not in text
    register = fresh(SqliteDeliveryRegister)
    house.bench.asking.reach = NotificationState(register=register, routes=ROUTES)
    register.open("email", now=0)
    register.release("email", attempts=1, next_at=0, error="bob@example.com is gone", sent=3, missed=2)
    text = await MetricsText(
        house.bench.walk.recorder, house.bench.walk.authority, house.bench.walk.deciding
    ).text()
    lines = text.decode().splitlines()
    for line in (
        'answerable_channel_up{channel="email"} 0.0',
        'answerable_channel_up{channel="slack"} 1.0',
        'answerable_channel_messages_total{channel="email",result="sent"} 3.0',
        'answerable_channel_messages_total{channel="email",result="missed"} 2.0',
        'answerable_channel_messages_total{channel="slack",result="left_out"} 0.0',
    ):
        assert line in lines
    assert b"bob" not in text
